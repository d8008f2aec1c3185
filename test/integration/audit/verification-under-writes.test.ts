import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { PointerPage } from '../../../src/audit/pointer-verification.ts';
import type { TrailReader } from '../../../src/audit/stored-trail.ts';
import { verifyTrail } from '../../../src/audit/verification.ts';
import type { VerificationResult } from '../../../src/services/trail-jobs.ts';
import { PostgresTrailReader } from '../../../src/storage/trail-reader.ts';
import { Authors } from '../../support/audit/authors.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';

/** So small that every table has many pages. */
const PAGE_ROWS = 3;
/** Made before anything is verified. */
const TENANTS = 4;
/** The writes of a story. */
const STORY = 15;
/** Writers at once, and how many rounds each of them writes. */
const WRITERS = 4;
const ROUNDS = 5;

let registry: Registry;
let authors: Authors;
let tenants = 0;

/** Everything that an author does, in a tenant of its own; what is new comes before and after what is there. */
async function* story(): AsyncGenerator<number> {
  tenants += 1;
  const tenant = `${tenants % 2 === 0 ? 'z' : `a${String(999 - tenants)}`}-${tenants}`;
  yield authors.createTenant(tenant, { round: tenants });
  yield authors.createBundle(tenant, 'welcome');
  yield authors.publishBundle(tenant, 'welcome', '1.0.0', 1, 'production');
  yield authors.createTemplate(tenant, 'farewell');
  yield authors.updateTemplate(tenant, 'farewell', 'Bye', 1);
  yield authors.publishTemplate(tenant, 'farewell', '1.0.0', 2);
  yield authors.updateBundle(tenant, 'welcome', 'better', 1);
  yield authors.publishBundle(tenant, 'welcome', '1.1.0', 2, 'production');
  yield authors.release(tenant, 'welcome', 'a-staging', '1.1.0');
  yield authors.rollback(tenant, 'welcome', 'production');
  yield authors.archiveTemplate(tenant, 'farewell', 2);
  yield authors.release(tenant, 'welcome', 'production', undefined);
  yield authors.deactivate(tenant);
  yield authors.updateTenant(tenant, { round: -tenants }, 1);
  yield authors.activate(tenant, 'welcome');
}

/** The trail, with `write` before and after each reading of what is served. */
class DisturbedTrailReader extends PostgresTrailReader {
  readonly #write: () => Promise<unknown>;

  constructor(write: () => Promise<unknown>) {
    super(registry.database.access, PAGE_ROWS);
    this.#write = write;
  }

  override moving(...page: Parameters<TrailReader['moving']>): Promise<PointerPage> {
    return this.#disturbed(() => super.moving(...page));
  }

  override owners(...page: Parameters<TrailReader['owners']>): Promise<PointerPage> {
    return this.#disturbed(() => super.owners(...page));
  }

  async #disturbed(read: () => Promise<PointerPage>): Promise<PointerPage> {
    await this.#write();
    const page = await read();
    await this.#write();
    return page;
  }
}

async function verify(reader: TrailReader): Promise<VerificationResult> {
  let result: VerificationResult | undefined;
  for await (const progress of verifyTrail(reader, undefined)) {
    assert.equal(progress.finding, undefined, progress.finding?.description);
    result = progress.result;
  }
  return result!;
}

function reader(): PostgresTrailReader {
  return new PostgresTrailReader(registry.database.access, PAGE_ROWS);
}

/** Whether it is over by now. */
function isOver(work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => true), setImmediate(false)]);
}

async function lastSeq(): Promise<number> {
  return (await reader().heads()).changes!.number;
}

describe('Verification shows tampering', () => {
  before(async () => {
    registry = await openRegistry();
    authors = new Authors(registry);
    await authors.createTemplate('default', 'hello');
    await authors.publishTemplate('default', 'hello', '1.0.0', 1);
    for (let made = 0; made < TENANTS; made += 1) for await (const _ of story());
  });

  after(() => registry.close());

  it('but not where something is written between any two readings of what is served', async () => {
    let next = story();
    const write = async () => {
      if ((await next.next()).done) next = story();
    };
    const before = await lastSeq();
    const { changes } = await verify(new DisturbedTrailReader(write));
    assert.equal(changes, before);
    assert.ok((await lastSeq()) > before + STORY);
    assert.equal((await verify(reader())).changes, await lastSeq());
  });

  it('but not where others write all the time', async () => {
    const writers = Array.from({ length: WRITERS }, async () => {
      for (let round = 0; round < ROUNDS; round += 1) for await (const _ of story());
    });
    const all = Promise.all(writers);
    while (!(await isOver(all))) await verify(reader());
    assert.equal((await verify(reader())).changes, await lastSeq());
  });
});
