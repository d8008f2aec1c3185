/**
 * A process that serves one call and does nothing in it: the least that a call costs on this stack. Its arguments are
 * the path of the call, and what to answer: a message in protobuf, in base64. It tells the parent process its address.
 */
import process from 'node:process';
import { Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';
import { MAX_REQUEST_BYTES } from '../../src/rpc/limits.ts';

const [path, answer] = process.argv.slice(2) as [string, string];
const bytes = Buffer.from(answer, 'base64');
const identity = (message: Buffer): Buffer => message;

// As src/rpc/grpc-adapter.ts has it, what is about single calls.
const server = new Server({
  'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
  'grpc.max_send_message_length': -1,
  'grpc.enable_channelz': 0,
});
const answerAtOnce: handleUnaryCall<Buffer, Buffer> = (_call, callback) => callback(null, bytes);
server.register(path, answerAtOnce, identity, identity, 'unary');
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.send?.(`127.0.0.1:${port}`);
});
process.once('disconnect', () => server.forceShutdown());
