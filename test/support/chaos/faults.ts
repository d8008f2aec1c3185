import { Redis } from 'ioredis';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { byType } from '../rendering.ts';
import type { Arena } from './arena.ts';
import type { Seat } from './seat.ts';

/** Something that happens to the stores or to a replica, and is over when `apply` resolves. */
export interface Fault {
  readonly name: string;
  apply(arena: Arena): Promise<void>;
}

/** How long a store is away; a single number for exactly that long, in milliseconds. */
type Span = number | { readonly low: number; readonly high: number };

const SHORT: Span = { low: 200, high: 3_000 };
const LONG: Span = { low: 1_000, high: 8_000 };
const GARBAGE_KEYS = 2_000;

/** Says that Redis holds the pointers of all tenants. */
const POINTERS_HELD = '*prompt-seq';
const HELD_POLL_MS = 20;
const HELD_MS = 10_000;
/** How long a replica that starts from Redis may take, with processes of others in its way. */
const START_MS = 15_000;

export function postgresStandsStill(span: Span = LONG): Fault {
  return {
    name: 'PostgreSQL stands still',
    apply: (arena) => {
      const { postgres } = arena;
      return arena.withoutPostgres(() => postgres.pause(), () => postgres.resume(), () => wait(arena, span));
    },
  };
}

export function postgresIsKilled(span: Span = LONG): Fault {
  return {
    name: 'PostgreSQL is killed and started again',
    apply: (arena) => {
      const { postgres } = arena;
      return arena.withoutPostgres(() => postgres.kill(), () => postgres.restart(), () => wait(arena, span));
    },
  };
}

export function listenersAreCut(): Fault {
  return { name: 'the LISTEN connections are cut', apply: ({ postgres }) => postgres.cutListeners() };
}

export function replicaIsKilled(): Fault {
  return {
    name: 'a replica is killed and started again',
    apply: async (arena) => {
      await arena.killOne();
      await wait(arena, SHORT);
      await arena.join();
    },
  };
}

/** One replica leaves all pointers in Redis; then another one starts from them while the database is away. */
export function replicaStartsAway(span: Span = SHORT): Fault {
  return {
    name: 'a replica starts from Redis while PostgreSQL is away',
    apply: async (arena) => {
      const { postgres } = arena;
      await commanding(arena, async (redis) => {
        for (const key of await redis.keys(POINTERS_HELD)) await redis.del(key);
        await arena.killOne();
        // What it does not hold in memory yet it brings to Redis.
        await arena.join().then(ask);
        const end = performance.now() + HELD_MS;
        while (performance.now() < end && (await redis.keys(POINTERS_HELD)).length === 0) {
          await arena.wait(HELD_POLL_MS);
        }
      });
      let joining: Promise<void> | undefined;
      await arena.withoutPostgres(
        () => postgres.kill(),
        () => postgres.restart(),
        async () => {
          await arena.killOne();
          joining = startsStale(arena);
          await Promise.race([joining, arena.wait(START_MS)]);
          await wait(arena, span);
        },
      );
      await joining;
    },
  };
}

/** How a bundle that nobody moves is answered. */
async function ask({ clients }: Seat): Promise<RenderSource> {
  const { source } = await clients.renders.render({ tenant: 'kiosk', target: byType(PromptType.FAREWELL) });
  return source;
}

async function startsStale(arena: Arena): Promise<void> {
  const replica = await arena.join();
  const asked = Date.now();
  const source = await ask(replica);
  const holds = arena.outages.lasts(asked) && source === RenderSource.STALE;
  arena.ledger.check('startsAway', holds, () => `${replica.name} serves, and answers ${RenderSource[source]}`);
}

export function redisIsKilled(span: Span = SHORT): Fault {
  return {
    name: 'Redis is killed and started again',
    apply: async (arena) => {
      await arena.redis!.kill();
      await wait(arena, span);
      await arena.redis!.restart();
    },
  };
}

export function redisStandsStill(span: Span = LONG): Fault {
  return {
    name: 'Redis stands still',
    apply: async (arena) => {
      arena.redis!.pause();
      await wait(arena, span);
      arena.redis!.resume();
    },
  };
}

export function redisIsEmptied(): Fault {
  const empty = async (redis: Redis): Promise<void> => void (await redis.flushall());
  return { name: 'Redis is emptied', apply: (arena) => commanding(arena, empty) };
}

/** Whatever is there becomes something else, of the same length or not, or another type. */
export function redisHoldsGarbage(): Fault {
  return {
    name: 'Redis holds garbage',
    apply: (arena) =>
      commanding(arena, async (redis) => {
        const { random } = arena;
        for (const key of await redis.keys('*')) {
          const length = random.between(0, 2) * (await redis.strlen(key).catch(() => 0));
          const bytes = Buffer.from(Array.from({ length }, () => random.between(0, 255)));
          if (random.between(1, 5) > 1) await redis.set(key, bytes);
          else await redis.multi().del(key).rpush(key, 'no string').exec();
        }
        await redis.mset(Array.from({ length: GARBAGE_KEYS }, (_, i) => [`garbage:${i}`, 'x'.repeat(i)]).flat());
      }),
  };
}

export function redisIsFull(span: Span = SHORT): Fault {
  return {
    name: 'Redis is full',
    apply: (arena) =>
      commanding(arena, async (redis) => {
        await redis.config('SET', 'maxmemory', '1mb');
        await wait(arena, span);
        await redis.config('SET', 'maxmemory', '0');
      }),
  };
}

export function bothAreKilled(span: Span = LONG): Fault {
  return {
    name: 'both stores are killed and started again',
    apply: (arena) => {
      const { postgres, redis } = arena;
      const kill = async () => void (await Promise.all([postgres.kill(), redis!.kill()]));
      const restart = async () => void (await Promise.all([postgres.restart(), redis!.restart()]));
      return arena.withoutPostgres(kill, restart, () => wait(arena, span));
    },
  };
}

export function bothStandStill(span: Span = LONG): Fault {
  return {
    name: 'both stores stand still',
    apply: (arena) => {
      const { postgres, redis } = arena;
      const pause = () => {
        redis!.pause();
        return postgres.pause();
      };
      const resume = () => {
        redis!.resume();
        return postgres.resume();
      };
      return arena.withoutPostgres(pause, resume, () => wait(arena, span));
    },
  };
}

/** Those that need no Redis. */
export const POSTGRES_FAULTS: readonly Fault[] = [
  postgresStandsStill(),
  postgresIsKilled(),
  listenersAreCut(),
  replicaIsKilled(),
];

export const REDIS_FAULTS: readonly Fault[] = [
  redisIsKilled(),
  redisStandsStill(),
  redisIsEmptied(),
  redisHoldsGarbage(),
  redisIsFull(),
  bothAreKilled(),
  bothStandStill(),
  replicaStartsAway(),
];

function wait(arena: Arena, span: Span): Promise<void> {
  return arena.wait(typeof span === 'number' ? span : arena.random.between(span.low, span.high));
}

async function commanding(arena: Arena, work: (redis: Redis) => Promise<void>): Promise<void> {
  const redis = new Redis(arena.redis!.url);
  try {
    await work(redis);
  } finally {
    redis.disconnect();
  }
}
