import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { Violations } from '../../../src/domain/errors.ts';
import {
  BY_ID,
  BY_NUMBER,
  BY_RENDER_ID,
  BY_TYPE,
  fetchPage,
  listing,
  readPage,
  type PageKey,
} from '../../../src/rpc/pagination.ts';
import { ListTemplatesRequestSchema, TemplateService } from '../../../gen/platen/v1/template_service_pb.js';
import { callOf, refusal } from '../../support/handler-call.ts';

type Request = MessageInitShape<typeof ListTemplatesRequestSchema>;

async function read<K>(request: Request, key: PageKey<K>): Promise<ReturnType<typeof readPage<never, K>>> {
  const violations = new Violations();
  const page = readPage(violations, ListTemplatesRequestSchema, create(ListTemplatesRequestSchema, request), key);
  violations.throwIfAny();
  return page;
}

/** A list of the numbers from 1 to `count`, as a store answers it. */
function numbers(count: number): (after: number, limit: number) => Promise<number[]> {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  return async (after, limit) => all.slice(after, after + limit);
}

async function tokenAfter(key: unknown, request: Request = {}): Promise<string> {
  const page = await read({ ...request, pageSize: 1 }, BY_NUMBER);
  const { nextPageToken } = await fetchPage<unknown, unknown>(
    page,
    async () => [0, 0],
    () => key,
  );
  return nextPageToken;
}

describe('Lists are paged by an opaque token', () => {
  it('the pages of a list are the list, whatever their sizes', async () => {
    const pageSizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.nat(60), pageSizes, async (count, sizes) => {
        const seen: number[] = [];
        let pageToken = '';
        let turn = 0;
        do {
          const pageSize = sizes[turn % sizes.length]!;
          const page = await read({ tenant: 'acme', pageSize, pageToken }, BY_NUMBER);
          const { items, nextPageToken } = await fetchPage(page, numbers(count), (item) => item);
          assert.ok(items.length <= pageSize);
          assert.equal(nextPageToken === '', seen.length + items.length === count);
          seen.push(...items);
          pageToken = nextPageToken;
          turn += 1;
        } while (pageToken !== '');
        assert.deepEqual(seen, await numbers(count)(0, count));
      }),
    );
  });

  it('a page has 50 items unless the request says otherwise, and 1,000 at most', async () => {
    assert.equal((await read({}, BY_ID)).size, 50);
    assert.equal((await read({ pageSize: 1 }, BY_ID)).size, 1);
    assert.equal((await read({ pageSize: 1_000 }, BY_ID)).size, 1_000);
    assert.equal((await read({ pageSize: 2_147_483_647 }, BY_ID)).size, 1_000);
  });

  it('a negative page_size is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -2_147_483_648, max: -1 }), async (pageSize) => {
        assert.deepEqual(await refusal(read({ pageSize }, BY_ID)), ['page_size OUT_OF_RANGE']);
      }),
    );
  });

  it('a token is good for the request that it was handed out to, with any page_size', async () => {
    const pageToken = await tokenAfter(7, { tenant: 'acme' });
    assert.equal((await read({ tenant: 'acme', pageSize: 3, pageToken }, BY_NUMBER)).after, 7);
    assert.deepEqual(await refusal(read({ tenant: 'other', pageToken }, BY_NUMBER)), ['page_token BAD_FORMAT']);
    assert.deepEqual(await refusal(read({ tenant: 'acme', showArchived: true, pageToken }, BY_NUMBER)), [
      'page_token BAD_FORMAT',
    ]);
  });

  it('what is no token is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, unit: 'binary' }), async (text) => {
        for (const pageToken of [text, Buffer.from(text).toString('base64url') || '-']) {
          assert.deepEqual(await refusal(read({ pageToken }, BY_NUMBER)), ['page_token BAD_FORMAT']);
        }
      }),
    );
    const none = Buffer.from('null').toString('base64url');
    assert.deepEqual(await refusal(read({ pageToken: none }, BY_NUMBER)), ['page_token BAD_FORMAT']);
  });

  it('a forged token reaches no database', async () => {
    const keys: readonly (readonly [PageKey<unknown>, unknown, readonly unknown[]])[] = [
      [BY_NUMBER, 3, [0, -1, 1.5, 2 ** 60, '3', null]],
      [BY_ID, 'acme.a-b_c', ['', 'A', 'a\u0000', 'a'.repeat(64), 3, null]],
      [BY_TYPE, 'GREETING', ['', 'greeting', 'GREETINGS', 3]],
      [BY_RENDER_ID, '01920000-0000-7000-8000-000000000000', ['', '01920000', 3]],
    ];
    for (const [key, good, bad] of keys) {
      assert.equal((await read({ pageToken: await tokenAfter(good) }, key)).after, good);
      for (const forged of bad) {
        const pageToken = await tokenAfter(forged);
        assert.deepEqual(await refusal(read({ pageToken }, key)), ['page_token BAD_FORMAT'], JSON.stringify(forged));
      }
    }
  });

  it('what is wrong with the page is told together with what is wrong with the rest', async () => {
    const method = TemplateService.method.listTemplates;
    const handler = listing(method, BY_ID, (violations) => {
      violations.add('type', 'OUT_OF_RANGE', 'is no type');
      return async () => ({});
    });
    const request = create(ListTemplatesRequestSchema, { pageSize: -1, pageToken: '?' });
    assert.deepEqual(await refusal(handler(callOf(method), request)), [
      'type OUT_OF_RANGE',
      'page_size OUT_OF_RANGE',
      'page_token BAD_FORMAT',
    ]);
  });
});
