/** What happens to a fleet, as commands that say in words what they do. */
import fc, { type Arbitrary, type AsyncCommand } from 'fast-check';
import { CAPTURE_POLICIES } from '../../../src/domain/prompt-type.ts';
import type { RegistryHistory } from './registry-history.ts';
import type { Ask, Write } from './registry-model.ts';
import { BUNDLES, CHANNELS, REPLICAS, TENANTS, TYPES, VERSIONS, type SimulatedFleet } from './simulated-fleet.ts';
import { turn } from './virtual-time.ts';

type Command = AsyncCommand<RegistryHistory, SimulatedFleet>;
export type Commands = Arbitrary<Command>;

const replica = fc.nat({ max: REPLICAS - 1 });
const tenant = fc.constantFrom(...TENANTS);
const bundleId = fc.constantFrom(...BUNDLES);
const type = fc.constantFrom(...TYPES);
const channel = fc.constantFrom(...CHANNELS);
const version = fc.constantFrom(VERSIONS[0]!, ...VERSIONS);
const value = fc.constantFrom('Acme', 'Shop', null);
const values = {
  parent: tenant,
  variables: fc.record({ brand: value, tone: value }, { requiredKeys: [] }),
  capturePolicy: fc.constantFrom(...CAPTURE_POLICIES),
};
const ofBundle = { tenant, bundleId };
const ofChannel = { tenant, bundleId, channel };

function does(words: string, act: (fleet: SimulatedFleet) => void): Command {
  return {
    check: () => true,
    run: async (_history, fleet) => {
      act(fleet);
      await turn();
      fleet.throwFailure();
    },
    toString: () => words,
  };
}

/** One transaction, if it is allowed when its turn comes. */
function writes(transactions: Arbitrary<readonly Write[]>): Commands {
  return fc.tuple(replica, transactions).map(([number, transaction]) => {
    const words = transaction.map(({ act, ...object }) => `${act} ${fc.stringify(object)}`).join(', ');
    return {
      ...does(`${words} by replica ${number}`, (fleet) => fleet.write(number, transaction)),
      check: (history) => history.accepts(transaction),
    };
  });
}

function act<A extends Write['act']>(...names: readonly A[]) {
  return { act: fc.constantFrom(...names) };
}

const publication = fc
  .record({ tenant, bundleId, channel: fc.option(channel), type: fc.option(type) })
  .map(({ channel, type, ...bundle }): Write[] => [
    { act: 'publish', ...bundle },
    ...(channel ? [{ act: 'release latest' as const, ...bundle, channel }] : []),
    ...(type ? [{ act: 'activate' as const, ...bundle, type }] : []),
  ]);

const launch = fc
  .record({ ...ofBundle, type, released: fc.boolean(), activated: fc.boolean() })
  .map(({ type, released, activated, ...bundle }): Write[] => [
    { act: 'create bundle', ...bundle, type },
    { act: 'publish', ...bundle },
    ...(released ? [{ act: 'release latest' as const, ...bundle, channel: 'production' }] : []),
    ...(activated ? [{ act: 'activate' as const, ...bundle, type }] : []),
  ]);

/** A version that is taken back at once. */
const setback = fc.record(ofChannel).map(({ channel, ...bundle }): Write[] => [
  { act: 'publish', ...bundle },
  { act: 'release latest', ...bundle, channel },
  { act: 'roll back', ...bundle, channel },
]);

/** A bundle on more channels than most have. */
const spread = fc.record(ofBundle).map((bundle): Write[] => {
  const channels = [...Array.from({ length: 8 }, (_, number) => `spread-${number}`), ...CHANNELS];
  return [
    { act: 'publish', ...bundle },
    ...channels.map((channel) => ({ act: 'release latest' as const, ...bundle, channel })),
  ];
});

const retirement = fc.record(ofBundle).map((bundle): Write[] => [
  { act: 'withdraw', ...bundle, channel: 'production' },
  { act: 'archive', ...bundle },
]);

function alone(write: Arbitrary<Write>): Commands {
  return writes(write.map((only) => [only]));
}

/** Moves of the tree of tenants, and what they set for those below. */
export const tenantWrites: readonly Commands[] = [
  alone(fc.record({ ...act('create tenant'), tenant, ...values })),
  alone(fc.record({ ...act('update tenant'), tenant, ...values })),
  alone(fc.record({ ...act('update tenant'), tenant: fc.constant('default'), ...values, parent: fc.constant('') })),
];

export const bundleWrites: readonly Commands[] = [
  alone(fc.record({ ...act('create bundle'), ...ofBundle, type })),
  alone(fc.record({ ...act('save draft', 'archive'), ...ofBundle })),
  writes(launch),
  writes(publication),
  writes(spread),
  writes(retirement),
];

export const releaseWrites: readonly Commands[] = [
  alone(fc.record({ ...act('release'), ...ofChannel, version })),
  alone(fc.record({ ...act('release latest', 'roll back'), ...ofChannel })),
  alone(fc.record({ ...act('withdraw'), ...ofChannel })),
  writes(setback),
  alone(fc.record({ ...act('activate'), ...ofBundle, type })),
  alone(fc.record({ ...act('deactivate'), tenant, type })),
];

/** More changes than one page of the log holds, which move no pointer. */
export const manyWrites: Commands = fc
  .tuple(replica, fc.constantFrom(1, 998, 999, 1_000, 2_500))
  .map(([number, count]) =>
    does(`save ${count} templates by replica ${number}`, (fleet) => {
      fleet.write(number, templates(count));
    }),
  );

function templates(count: number): Write[] {
  return Array.from({ length: count }, () => ({ act: 'save template' }));
}

const asker = fc.constantFrom(...TENANTS, 'nobody');
const named = fc.constantFrom(...BUNDLES, 'nothing');
const pointed: Arbitrary<Ask> = fc.oneof(
  fc.record({ tenant: asker, type, channel }),
  fc.record({ tenant: asker, bundleId: named, channel }),
);
const exact: Arbitrary<Ask> = fc.record({ tenant: asker, bundleId: named, version });
const fallbackText = fc.constantFrom('', 'sorry');

/** Renders on every replica, of something that is in memory if it is anywhere. */
export const renders: Commands = rendersOf(pointed);

/** Renders on every replica that wait for a look-up. */
export const exactRenders: Commands = rendersOf(exact);

function rendersOf(asks: Arbitrary<Ask>): Commands {
  return fc.tuple(asks, fallbackText).map(([ask, fallbackText]) =>
    does(`render ${fc.stringify(ask)} everywhere, or else '${fallbackText}'`, (fleet) => {
      for (const each of fleet.replicas) each.render(ask, { minSeq: 0, fallbackText });
    }),
  );
}

/** Renders of everything. */
export const surveys: Commands = replica.map((number) =>
  does(`render everything on replica ${number}`, (fleet) => fleet.survey(fleet.replicas[number]!)),
);

/** Renders that wait for a change near the head, one that is still to come included. */
export const patientRenders: Commands = fc
  .tuple(replica, pointed, fc.integer({ min: -2, max: 1 }))
  .map(([number, ask, ahead]) =>
    does(`render ${fc.stringify(ask)} on replica ${number} at head ${ahead < 0 ? '' : '+'}${ahead}`, (fleet) => {
      const minSeq = Math.max(1, fleet.history.head.seq + ahead);
      fleet.replicas[number]!.render(ask, { minSeq, fallbackText: '' });
    }),
  );

export const timePasses: Commands = fc
  .constantFrom(1, 50, 250, 500, 1_000, 1_100, 2_000, 2_900, 3_000, 3_050, 5_000)
  .map((milliseconds) => does(`${milliseconds} ms pass`, (fleet) => fleet.time.pass(milliseconds)));

export const lostNotifications: Commands = fc
  .tuple(replica, fc.integer({ min: 1, max: 3 }))
  .map(([number, count]) =>
    does(`lose ${count} notifications of replica ${number}`, ({ database }) => {
      database.loseNotifications(number, count);
    }),
  );

export const cuts: Commands = replica.map((number) =>
  does(`cut replica ${number} off`, ({ database }) => database.cut(number)),
);

export const hangs: readonly Commands[] = [
  replica.map((number) => does(`hang the connection of replica ${number}`, ({ database }) => database.hang(number))),
  replica.map((number) =>
    does(`hang the next connection of replica ${number}`, ({ database }) => database.hangNextOpen(number)),
  ),
];

export const outages: readonly Commands[] = [
  fc.constant(does('the database goes away', ({ database }) => database.leave())),
  fc.constant(does('the database comes back', ({ database }) => database.comeBack())),
];

/** An outage in which somebody renders. */
export const silences: Commands = fc
  .tuple(replica, fc.constantFrom(1_000, 1_950, 2_000, 2_950, 3_000, 3_050))
  .map(([number, milliseconds]) =>
    does(`the database goes away; ${milliseconds} ms later render everything on replica ${number}`, (fleet) => {
      fleet.database.leave();
      fleet.time.pass(milliseconds);
      fleet.survey(fleet.replicas[number]!);
      fleet.database.comeBack();
    }),
  );

/** An outage that pointers survive verified or not, perhaps without the last changes, perhaps with many to come. */
export const interruptions: Commands = fc
  .record({
    ms: fc.constantFrom(500, 2_950, 3_050, 4_000),
    lost: fc.constantFrom(0, 1, 4),
    news: fc.constantFrom(0, 1_500),
  })
  .map(({ ms, lost, news }) =>
    does(`the database is away for ${ms} ms, loses ${lost} changes and brings ${news}`, (fleet) => {
      const { database, history, time } = fleet;
      database.leave();
      time.pass(ms);
      database.restore(Math.max(1, history.head.seq - lost));
      database.comeBack();
      fleet.write(0, templates(news));
    }),
  );

export const restarts: Commands = replica.map((number) =>
  does(`restart replica ${number}`, (fleet) => fleet.restart(number)),
);

/** Some of the last changes are lost. */
export const restores: Commands = fc.integer({ min: 0, max: 8 }).map((lost) =>
  does(`restore the database without its last ${lost} changes`, ({ database, history }) => {
    database.restore(Math.max(1, history.head.seq - lost));
  }),
);
