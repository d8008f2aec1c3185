import assert from 'node:assert/strict';
import { sha256, type Document, documentOf } from '../../src/domain/document.ts';
import type { PublishedContent } from '../../src/services/render-ports.ts';
import type { VersionName } from '../support/storage/publish.ts';

/** Stores above each other, and the way by which content comes into them. */
export interface Stack {
  readonly content: PublishedContent;
  /** Brings the content to where this stack has it. */
  publish(snapshot: Document, ...names: VersionName[]): Promise<void>;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;

/** A snapshot that says `content`; other content, other hash. */
export function snapshotOf(content: string): Document {
  return documentOf({ sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content }] });
}

/** The contract of `PublishedContent`, shown of one stack. */
export function describePublishedContent(name: string, open: () => Promise<Stack>): void {
  describe('Every stack keeps the same contract', () => {
    describe(name, () => {
      let stack: Stack;

      before(async () => {
        stack = await open();
      });

      after(() => stack.close());

      async function assertHeld({ hash, text }: Document): Promise<void> {
        for (let count = 0; count < 3; count += 1) {
          const found = await stack.content.document(hash);
          assert.ok(found !== undefined && Buffer.from(found).equals(Buffer.from(text)));
          assert.equal(sha256(found), hash);
        }
      }

      async function assertVersion(name: VersionName, hash: string | undefined): Promise<void> {
        const { tenant, bundleId, version } = name;
        for (let count = 0; count < 3; count += 1) {
          assert.equal(await stack.content.versionHash(tenant, bundleId, version), hash);
        }
      }

      for (const [what, content] of Object.entries({
        'a short document': 'hello',
        'an empty one': '',
        'one that is not ASCII': 'Grüße, 你好, 👩🏽‍🚀, \u{1F600}\u0301, \u2028\u2029, \uFEFF',
        'one of escapes and control characters': `it's "q" \\ \\' ? ?? $1 :x \t\r\n\u0001\u007f`,
        'one of 1 MiB': 'x'.repeat(MIB),
        'one of more than 1 MiB that is not ASCII': '€👩'.repeat(MIB / 6),
      })) {
        it(`${what} is found byte for byte`, async () => {
          const document = snapshotOf(content);
          await stack.publish(document);
          await assertHeld(document);
        });
      }

      it('an exact version is found by tenant, bundle and semver', async () => {
        const [first, second] = [snapshotOf('versions: first'), snapshotOf('versions: second')];
        const name = { tenant: 'versions', bundleId: 'hello', version: '1.0.0' };
        await stack.publish(first, name, { ...name, version: '1.0.1' });
        await stack.publish(second, { ...name, version: '2.0.0-rc.1' });
        await assertVersion(name, first.hash);
        await assertVersion({ ...name, version: '1.0.1' }, first.hash);
        await assertVersion({ ...name, version: '2.0.0-rc.1' }, second.hash);
        await assertHeld(first);
      });

      it('names that run together are not taken for each other', async () => {
        const [first, second] = [snapshotOf('names: first'), snapshotOf('names: second')];
        await stack.publish(first, { tenant: 'run', bundleId: 'together-a', version: '1.0.0' });
        await stack.publish(second, { tenant: 'run-together', bundleId: 'a', version: '1.0.0' });
        await assertVersion({ tenant: 'run', bundleId: 'together-a', version: '1.0.0' }, first.hash);
        await assertVersion({ tenant: 'run-together', bundleId: 'a', version: '1.0.0' }, second.hash);
      });

      it('what is not published is missing', async () => {
        const snapshot = snapshotOf('missing: other');
        await stack.publish(snapshot, { tenant: 'missing', bundleId: 'others', version: '1.0.0' });
        assert.equal(await stack.content.document(snapshotOf('missing').hash), undefined);
        assert.equal(await stack.content.document(''), undefined);
        await assertVersion({ tenant: 'missing', bundleId: 'others', version: '1.0.1' }, undefined);
        await assertVersion({ tenant: 'missing', bundleId: 'other', version: '1.0.0' }, undefined);
        await assertVersion({ tenant: 'default', bundleId: 'others', version: '1.0.0' }, undefined);
        await assertVersion({ tenant: 'nobody', bundleId: 'others', version: '1.0.0' }, undefined);
        for (const name of ["it's", '\\', "\\'", '?', '??', '$1', "') or true --", 'Ü', '']) {
          await assertVersion({ tenant: name, bundleId: name, version: name }, undefined);
          assert.equal(await stack.content.document(name), undefined);
        }
      });

      it('what is asked for at once is found one by one, though some of it is missing or asked for twice', async () => {
        const documents = Array.from({ length: 16 }, (_, i) => snapshotOf(`at once: ${i}`));
        const nameOf = (i: number) => ({ tenant: 'at-once', bundleId: 'hello', version: `${i}.0.0` });
        for (const [i, document] of documents.entries()) {
          if (i % 4 > 0) await stack.publish(document, nameOf(i));
        }
        const twice = [...documents, ...documents];
        const texts = await Promise.all(twice.map(({ hash }) => stack.content.document(hash)));
        assert.deepEqual(
          texts,
          twice.map(({ text }, i) => (i % 4 > 0 ? text : undefined)),
        );
        const hashes = await Promise.all(
          twice.map((_, i) => stack.content.versionHash('at-once', 'hello', nameOf(i % 16).version)),
        );
        assert.deepEqual(
          hashes,
          twice.map(({ hash }, i) => (i % 4 > 0 ? hash : undefined)),
        );
      });

      it('what is missing may come, and is found then', async () => {
        const snapshot = snapshotOf('late');
        const name = { tenant: 'late', bundleId: 'hello', version: '1.0.0' };
        assert.equal(await stack.content.document(snapshot.hash), undefined);
        await assertVersion(name, undefined);
        await stack.publish(snapshot, name);
        await assertHeld(snapshot);
        await assertVersion(name, snapshot.hash);
      });

      it('100 who ask at once are all answered', async () => {
        const snapshot = snapshotOf('asked at once');
        const name = { tenant: 'asked', bundleId: 'at-once', version: '1.0.0' };
        await stack.publish(snapshot, name);
        const asked = Array.from({ length: 100 }, (_, i) =>
          i % 2 === 0
            ? stack.content.document(snapshot.hash)
            : stack.content.versionHash(name.tenant, name.bundleId, name.version),
        );
        const found = await Promise.all(asked);
        assert.deepEqual(new Set(found), new Set([snapshot.text, snapshot.hash]));
      });
    });
  });
}
