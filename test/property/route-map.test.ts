import fc from 'fast-check';
import {
  bundleWrites,
  cuts,
  exactRenders,
  hangs,
  interruptions,
  lostNotifications,
  manyWrites,
  outages,
  patientRenders,
  releaseWrites,
  renders,
  restarts,
  restores,
  silences,
  surveys,
  tenantWrites,
  timePasses,
  type Commands,
} from '../support/routing/registry-commands.ts';
import { SimulatedFleet } from '../support/routing/simulated-fleet.ts';
import { turn } from '../support/routing/virtual-time.ts';

/** How many random histories each property is tried with; a long run sets more. */
const RUNS = Number(process.env['PLATEN_TEST_RUNS'] ?? 80);
const TIMEOUT_MS = 10_000 + 100 * RUNS;
const MAX_COMMANDS = 40;

const everyWrite = [...tenantWrites, ...bundleWrites, ...releaseWrites];

/**
 * Several replicas answer, at every change, as the model does at that change, whatever happens to them and in whatever
 * order messages arrive; and once all is well again they agree with the model at the head.
 */
async function holds(commands: readonly Commands[]): Promise<void> {
  const scheduler = fc.scheduler({
    act: async (step) => {
      await step();
      await turn();
    },
  });
  const history = fc.commands([...commands], { maxCommands: MAX_COMMANDS });
  const property = fc.asyncProperty(scheduler, history, async (order, commands) => {
    const fleet = new SimulatedFleet(order);
    fleet.begin();
    try {
      await fc.scheduledModelRun(order, () => ({ model: fleet.history, real: fleet }), commands);
      await fleet.settle();
    } finally {
      await fleet.end();
    }
  });
  await fc.assert(property, { numRuns: RUNS });
}

describe('Changes apply in order', () => {
  it('one by one, in whatever order replicas hear of them', () => {
    return holds([...everyWrite, lostNotifications, manyWrites, surveys, renders, timePasses]);
  }).timeout(TIMEOUT_MS);

  it('whatever else happens', () => {
    const faults = [lostNotifications, cuts, ...hangs, ...outages, interruptions, restarts, restores];
    const uses = [renders, surveys, exactRenders, patientRenders, timePasses, timePasses];
    return holds([...everyWrite, manyWrites, ...uses, ...faults]);
  }).timeout(TIMEOUT_MS);
});

describe('The writer sees its own write', () => {
  it('on its replica once it is answered, and anywhere with min_seq', () => {
    return holds([...everyWrite, patientRenders, patientRenders, renders, lostNotifications, cuts, timePasses]);
  }).timeout(TIMEOUT_MS);
});

describe('One render sees one version of the map', () => {
  it('though tenants move and pointers change while it waits', () => {
    const uses = [patientRenders, surveys, exactRenders, exactRenders, exactRenders];
    return holds([...tenantWrites, ...bundleWrites, ...uses, ...outages, timePasses]);
  }).timeout(TIMEOUT_MS);
});

describe('A silent connection is caught up', () => {
  it('whatever was lost, and wherever the connection broke', () => {
    return holds([...everyWrite, surveys, lostNotifications, cuts, ...hangs, restarts, timePasses, timePasses]);
  }).timeout(TIMEOUT_MS);
});

describe('An unverified head makes answers stale', () => {
  it('once it was not proved for 3 s, and no sooner', () => {
    const faults = [...hangs, silences, silences, interruptions, interruptions, manyWrites];
    return holds([...releaseWrites, renders, renders, exactRenders, ...faults, timePasses, timePasses]);
  }).timeout(TIMEOUT_MS);
});

describe('A replica off the log reloads', () => {
  it('and only such a one, however often the database is restored and written to again', () => {
    const faults = [restores, restores, interruptions, cuts, restarts];
    return holds([...everyWrite, surveys, patientRenders, ...faults, manyWrites, timePasses]);
  }).timeout(TIMEOUT_MS);
});
