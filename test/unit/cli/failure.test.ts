import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../../../gen/google/rpc/error_details_pb.js';
import {
  ExplainedError,
  exitCodeOf,
  failureText,
  FileError,
  networkCodeOf,
  UnreachableError,
  UsageError,
} from '../../../src/cli/failure.ts';
import { refusal } from '../../support/cli/scripted-server.ts';

const badRequest = {
  desc: BadRequestSchema,
  value: create(BadRequestSchema, {
    fieldViolations: [
      { field: 'template_id', reason: 'BAD_FORMAT', description: 'use a-z' },
      { field: 'draft.content', reason: 'LONE_BRACE', description: "line 1, column 7: a lone '}'" },
    ],
  }),
};

describe('Errors print the reason and every violation: the text', () => {
  it('names code, reason and every field violation; the message is not said twice', () => {
    const message = "template_id: use a-z; draft.content: line 1, column 7: a lone '}'";
    assert.equal(
      failureText(refusal(Code.InvalidArgument, 'INVALID_INPUT', message, [badRequest])),
      'error: INVALID_ARGUMENT INVALID_INPUT\n' +
        '  template_id (BAD_FORMAT): use a-z\n' +
        "  draft.content (LONE_BRACE): line 1, column 7: a lone '}'\n",
    );
  });

  it('keeps a message that says something else', () => {
    assert.match(
      failureText(refusal(Code.InvalidArgument, 'INVALID_INPUT', 'two fields are wrong', [badRequest])),
      /^error: INVALID_ARGUMENT INVALID_INPUT: two fields are wrong\n {2}template_id/,
    );
  });

  it('names every precondition', () => {
    const value = { violations: [{ type: 'BUNDLE_DRAFT', subject: 'acme/hello', description: 'names it' }] };
    const details = [{ desc: PreconditionFailureSchema, value }];
    assert.equal(
      failureText(refusal(Code.FailedPrecondition, 'RESOURCE_IN_USE', 'it is in use', details, { referrers: '1' })),
      'error: FAILED_PRECONDITION RESOURCE_IN_USE: it is in use\n' +
        '  acme/hello (BUNDLE_DRAFT): names it\n' +
        '  referrers: 1\n',
    );
  });

  it('names the resource', () => {
    const details = [{ desc: ResourceInfoSchema, value: { resourceType: 'bundle', resourceName: 'acme/hello' } }];
    assert.equal(
      failureText(refusal(Code.NotFound, 'RESOURCE_NOT_FOUND', 'bundle acme/hello does not exist', details)),
      'error: NOT_FOUND RESOURCE_NOT_FOUND: bundle acme/hello does not exist\n  bundle: acme/hello\n',
    );
  });

  it('says when to try again, if the server does', () => {
    const details = [
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
      { desc: RetryInfoSchema, value: {} },
    ];
    assert.equal(
      failureText(refusal(Code.Unavailable, 'DRAINING', 'the server is shutting down', details)),
      'error: UNAVAILABLE DRAINING: the server is shutting down\n  try again in 1.5 s\n',
    );
  });

  it('takes errors without details as they are', () => {
    assert.equal(failureText(new ConnectError('no such', Code.Unimplemented)), 'error: UNIMPLEMENTED: no such\n');
    const bare = { desc: BadRequestSchema, value: { fieldViolations: [{ field: 'a', description: 'is wrong' }] } };
    assert.equal(
      failureText(new ConnectError('no', Code.InvalidArgument, undefined, [bare])),
      'error: INVALID_ARGUMENT: no\n  a: is wrong\n',
    );
  });

  it('puts an explanation below', () => {
    const stale = refusal(Code.Aborted, 'STALE_EDIT_VERSION', 'it is 7', [], { edit_version: '7' });
    assert.equal(
      failureText(new ExplainedError(stale, 'So read it again.\n')),
      'error: ABORTED STALE_EDIT_VERSION: it is 7\n  edit_version: 7\nSo read it again.\n',
    );
  });

  it('marks every problem of a file', () => {
    assert.equal(failureText(new FileError(['a:1: x', 'a:2: y'])), 'error: a:1: x\nerror: a:2: y\n');
  });

  it('never shows a stack', () => {
    assert.equal(failureText(new TypeError('x is not a function')), 'error: x is not a function\n');
    assert.equal(failureText('thrown text'), 'error: thrown text\n');
  });

  it('says which address was tried and how to start a server', () => {
    const how = 'Start one with `platen serve`, or name another with --server or PLATEN_SERVER.\n';
    assert.equal(
      failureText(new UnreachableError('http://127.0.0.1:1', 'ECONNREFUSED')),
      `error: no server answers at http://127.0.0.1:1 (the connection was refused)\n${how}`,
    );
    assert.equal(
      failureText(new UnreachableError('http://nowhere', 'ENOTFOUND')),
      `error: no server answers at http://nowhere (ENOTFOUND)\n${how}`,
    );
  });

  it('knows a network error by its cause, and not by the code that the client gave it', () => {
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    assert.equal(networkCodeOf(new ConnectError('x', Code.Unavailable, undefined, undefined, cause)), 'ECONNREFUSED');
    assert.equal(networkCodeOf(new ConnectError('x', Code.Unavailable)), undefined);
    assert.equal(networkCodeOf(Object.assign(new Error('x'), { code: 'ERR_STREAM_DESTROYED' })), undefined);
    assert.equal(networkCodeOf('text'), undefined);
  });

  it('ends with 2 for a wrong command line, else with 1', () => {
    assert.equal(exitCodeOf(new UsageError('x')), 2);
    assert.equal(exitCodeOf(new FileError(['x'])), 1);
  });
});
