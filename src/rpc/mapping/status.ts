import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { StatusSchema } from '../../../gen/google/rpc/status_pb.js';
import type { Status } from '../errors.ts';

/** A status as it stands in an answer that says of its parts how each failed. */
export function writeStatus({ code, message, details }: Status): MessageInitShape<typeof StatusSchema> {
  return create(StatusSchema, { code, message, details: details.map((each) => anyPack(each.desc, each.message)) });
}
