import assert from 'node:assert/strict';
import { writeActivation, writeRelease } from '../../../../src/rpc/mapping/release.ts';
import { ActivationSchema, PromptType, ReleaseKind, ReleaseSchema } from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

const TIME = new Date('2026-03-01T12:00:00.123Z');

describe('A release keeps its targets as a list', () => {
  const record = {
    tenant: 'acme',
    bundleId: 'welcome',
    channel: 'production',
    revision: 5,
    kind: 'ROLLBACK',
    targets: [{ version: '1.0.0', bundleHash: 'a'.repeat(64), weight: 100 }],
    originRevision: 2,
    seq: 77,
    createTime: TIME,
    createActor: 'key:1',
  } as const;

  it('a release is answered with all that is kept of it', () => {
    const release = overTheWire(ReleaseSchema, writeRelease(record));
    assert.deepEqual(unsetFields(ReleaseSchema, release), []);
    assert.equal(release.kind, ReleaseKind.ROLLBACK);
    assert.equal(release.seq, 77n);
  });

  it('a withdrawal has no targets', () => {
    const release = overTheWire(ReleaseSchema, writeRelease({ ...record, kind: 'WITHDRAW', targets: [] }));
    assert.deepEqual(unsetFields(ReleaseSchema, release), ['targets']);
  });
});

describe('An activation points a type at a bundle', () => {
  const record = {
    tenant: 'acme',
    type: 'FAREWELL',
    bundleId: 'bye',
    revision: 2,
    seq: 78,
    updateTime: TIME,
    updateActor: 'key:1',
  } as const;

  it('an activation is answered with all that is kept of it', () => {
    const activation = overTheWire(ActivationSchema, writeActivation(record));
    assert.deepEqual(unsetFields(ActivationSchema, activation), []);
    assert.equal(activation.type, PromptType.FAREWELL);
  });

  it('a deactivated one has no bundle', () => {
    const activation = overTheWire(ActivationSchema, writeActivation({ ...record, bundleId: '' }));
    assert.deepEqual(unsetFields(ActivationSchema, activation), ['bundle_id']);
  });
});
