import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ActivationRecord, ReleaseRecord } from '../../services/stores.ts';
import type { ActivationSchema, ReleaseSchema } from '../../../gen/platen/v1/resources_pb.js';
import { promptTypes, releaseKinds } from './enums.ts';

export function writeRelease(record: ReleaseRecord): MessageInitShape<typeof ReleaseSchema> {
  return {
    tenant: record.tenant,
    bundleId: record.bundleId,
    channel: record.channel,
    revision: record.revision,
    kind: releaseKinds.number(record.kind),
    targets: record.targets.map(({ version, bundleHash, weight }) => ({ version, bundleHash, weight })),
    originRevision: record.originRevision,
    seq: BigInt(record.seq),
    createTime: timestampFromDate(record.createTime),
    createActor: record.createActor,
  };
}

export function writeActivation(record: ActivationRecord): MessageInitShape<typeof ActivationSchema> {
  return {
    tenant: record.tenant,
    type: promptTypes.number(record.type),
    bundleId: record.bundleId,
    revision: record.revision,
    seq: BigInt(record.seq),
    updateTime: timestampFromDate(record.updateTime),
    updateActor: record.updateActor,
  };
}
