import assert from 'node:assert/strict';
import {
  listenersAreCut,
  postgresIsKilled,
  postgresStandsStill,
  redisIsKilled,
  redisStandsStill,
} from '../support/chaos/faults.ts';
import { INVARIANTS, type Invariant, type Ledger } from '../support/chaos/ledger.ts';
import { runChaos } from '../support/chaos/run-chaos.ts';
import { startRedis } from '../support/redis-server.ts';

const BOUND_MS = 120_000;

/** What a run of these faults always looks at. */
const LOOKED_AT = (Object.keys(INVARIANTS) as Invariant[]).filter((name) => name !== 'startsAway');

/** The short form of `npm run chaos`: the same load and the same judgement, with a fixed set of faults. */
describe('three replicas while their stores fail', () => {
  let ledger: Ledger;

  before(async function () {
    this.timeout(BOUND_MS);
    const redis = await startRedis();
    try {
      ledger = await runChaos({
        seed: 1,
        redis,
        faults: () => [
          redisIsKilled(500),
          redisStandsStill(1_000),
          postgresStandsStill(6_000),
          postgresIsKilled(1_000),
          listenersAreCut(),
        ],
        say: () => {},
        stop: AbortSignal.timeout(BOUND_MS),
      });
    } finally {
      await redis.stop();
    }
  });

  function holds(...invariants: Invariant[]): void {
    for (const invariant of invariants) {
      assert.deepEqual(ledger.broken(invariant), []);
      assert(ledger.checked(invariant) > 0, `"${INVARIANTS[invariant]}" was never looked at`);
    }
  }

  describe('A render by type never fails for want of a prompt', () => {
    it('whatever is away', () => holds('typeNeverFails', 'neverUnforeseen', 'refusedOnlyWhileAway'));
  });

  describe('A render ends in time whatever the stores do', () => {
    it('before its deadline', () => holds('inTime'));
  });

  describe('An unverified head makes answers stale', () => {
    it('3 s after the database went, and not while it is there', () => holds('staleWhenUnproved', 'freshWhenProved'));
  });

  describe('Changes apply in order', () => {
    it('so that nobody is shown an older release after a newer one', () => holds('neverBack', 'oneHistory'));
  });

  describe('The writer sees its own write', () => {
    it('on the replica that answered it, and no write is lost or done twice', () => holds('ownWrite', 'nothingLost'));
  });

  describe('A render waits for the change it must see', () => {
    it('on any replica', () => holds('minSeq'));
  });

  describe('A silent connection is caught up', () => {
    it('within a second after the database accepts connections', () => holds('recovers'));

    it('to the same answers as those of a replica that loads everything anew', () => holds('sameAsFresh'));
  });

  describe('Losing a store never flips health', () => {
    it('over gRPC and HTTP', () => holds('serving'));
  });

  describe('Assembly is deterministic', () => {
    it('every text has the hash that it is sent with', () => holds('hashMatches'));
  });

  describe('Receipts reach the chain whatever is killed when', () => {
    it('exactly once, and the trail verifies', () => holds('receiptsKept', 'trailFits'));
  });

  it('every invariant held, and was looked at', () => holds(...LOOKED_AT));
});
