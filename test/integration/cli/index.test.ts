import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { Code } from '@connectrpc/connect';
import { BadRequestSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { addClientCommands, newProgram, runProgram } from '../../../src/cli/index.ts';
import type { Output, Terminal } from '../../../src/cli/terminal.ts';
import { BUNDLE, BUNDLE_VERSION, TEMPLATE, TEMPLATE_VERSION, TENANT } from '../../support/cli/answers.ts';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';
import { refusal, type Script } from '../../support/cli/scripted-server.ts';

/** A server that answers every call of the commands below with something. */
const EVERYTHING: Script = {
  tenants: {
    createTenant: () => ({ tenant: TENANT }),
    getTenant: () => ({ tenant: TENANT }),
    listTenants: () => ({ tenants: [TENANT] }),
    updateTenant: () => ({ tenant: TENANT }),
  },
  templates: {
    createTemplate: () => ({ template: TEMPLATE }),
    getTemplate: () => ({ template: TEMPLATE }),
    listTemplates: () => ({ templates: [TEMPLATE] }),
    updateTemplate: () => ({ template: TEMPLATE }),
    publishTemplate: () => ({ version: TEMPLATE_VERSION }),
    listTemplateVersions: () => ({ versions: [TEMPLATE_VERSION] }),
    getTemplateVersion: () => ({ version: TEMPLATE_VERSION }),
    deleteTemplate: () => ({ template: TEMPLATE }),
  },
  bundles: {
    createBundle: () => ({ bundle: BUNDLE }),
    getBundle: () => ({ bundle: BUNDLE }),
    listBundles: () => ({ bundles: [BUNDLE] }),
    updateBundle: () => ({ bundle: BUNDLE }),
    publishBundle: () => ({ version: BUNDLE_VERSION }),
    listBundleVersions: () => ({ versions: [BUNDLE_VERSION] }),
    getBundleVersion: () => ({ version: BUNDLE_VERSION }),
    deleteBundle: () => ({ bundle: BUNDLE }),
    releaseBundle: () => ({ release: { bundleId: 'welcome' } }),
    rollbackBundle: () => ({ release: { bundleId: 'welcome' } }),
    listReleases: () => ({ releases: [{ bundleId: 'welcome' }] }),
    activateBundle: () => ({ activation: { tenant: 'acme' } }),
    deactivateBundle: () => ({ activation: { tenant: 'acme' } }),
    listActivations: () => ({ activations: [{ tenant: 'acme' }] }),
  },
  renders: {
    render: () => ({ text: 'Hi', warnings: [{ code: 1 }] }),
    preview: () => ({ text: 'Hi' }),
    checkOutput: () => ({ passed: true }),
    explainRoute: () => ({ tenant: 'acme' }),
  },
  audit: {
    listChanges: () => ({ changes: [{ tenant: 'acme' }] }),
    getChange: () => ({ change: { tenant: 'acme' } }),
    listReceipts: () => ({ receipts: [{ tenant: 'acme' }] }),
    getReceipt: () => ({ receipt: { tenant: 'acme' } }),
    replay: () => ({ outcome: 1 }),
    eraseInputs: () => ({ erased: 1n, seq: 9n }),
    async *replayReceipts() {
      yield { total: 1n, replayed: 1n, matched: 1n };
    },
    async *verifyAudit() {
      yield { part: 3, result: { intact: true } };
    },
  },
};

const COMMANDS = [
  'tenant create acme',
  'tenant get acme',
  'tenant list',
  'tenant update acme --edit-version 1',
  'template create hello --type GREETING --file -',
  'template get hello',
  'template list',
  'template update hello --edit-version 1 --file -',
  'template publish hello --version 1.0.0 --edit-version 1',
  'template versions hello',
  'template show-version hello 1.0.0',
  'template archive hello --edit-version 1',
  'template history hello',
  'template restore hello --version 1.0.0',
  'bundle create welcome --type GREETING --file -',
  'bundle get welcome',
  'bundle list',
  'bundle update welcome --edit-version 1 --file -',
  'bundle publish welcome --version 1.0.0 --edit-version 1',
  'bundle versions welcome',
  'bundle show-version welcome 1.0.0',
  'bundle export welcome --version 1.0.0',
  'bundle check welcome --version 1.0.0',
  'bundle archive welcome --edit-version 1',
  'bundle history welcome',
  'bundle restore welcome --version 1.0.0',
  'bundle activate welcome --type GREETING',
  'bundle deactivate --type GREETING',
  'bundle activations',
  'release set welcome 1.0.0',
  'release withdraw welcome',
  'release rollback welcome',
  'release list welcome',
  'route explain --type GREETING',
  'render --type GREETING',
  'preview --bundle welcome',
  'audit changes',
  'audit change 1',
  'audit receipts',
  'audit receipt 0197',
  'audit replay 0197',
  'audit replay --tenant acme',
  'audit verify',
  'audit erase --caller c --yes',
];

/** A command that writes a file; its own tests show its JSON. */
const WRITES_A_FILE = 'audit checkpoint';

describe('Every command speaks JSON', () => {
  for (const command of COMMANDS) {
    it(`platen ${command} --json prints one JSON document`, async () => {
      const args = [...command.split(' '), '--json'];
      const { stdout, stderr, exitCode } = await runAgainst(EVERYTHING, args, { stdin: '' });
      assert.equal(exitCode, 0);
      if (/ (get|show-version) /.test(command)) assert.equal(stderr, '');
      assert.equal(typeof JSON.parse(stdout), 'object');
      const plain = await runAgainst(EVERYTHING, command.split(' '), { stdin: '' });
      assert.equal(plain.exitCode, 0);
      assert.notEqual(plain.stdout, stdout);
    });
  }

  it('covers every command that calls a server', () => {
    const program = newProgram();
    addClientCommands(program);
    const names = program.commands.flatMap((command) =>
      command.commands.length === 0
        ? [command.name()]
        : command.commands.map((child) => `${command.name()} ${child.name()}`),
    );
    for (const name of names) {
      assert.ok([...COMMANDS, WRITES_A_FILE].some((command) => `${command} `.startsWith(`${name} `)), name);
    }
  });
});

describe('Errors print the reason and every violation', () => {
  it('a refusal names every violation and leaves standard output empty', async () => {
    const value = {
      fieldViolations: [
        { field: 'template_id', reason: 'BAD_FORMAT', description: 'use a-z' },
        { field: 'draft.content', reason: 'LONE_BRACE', description: 'line 1, column 4' },
      ],
    };
    const { calls, ...outcome } = await runAgainst(
      {
        templates: {
          createTemplate: () => {
            throw refusal(Code.InvalidArgument, 'INVALID_INPUT', 'two violations', [{ desc: BadRequestSchema, value }]);
          },
        },
      },
      ['template', 'create', 'NO', '--type', 'GREETING', '--file', '-'],
      { stdin: 'Hi }' },
    );
    assert.equal(calls.length, 1);
    assert.deepEqual(outcome, {
      exitCode: 1,
      stdout: '',
      stderr: `error: INVALID_ARGUMENT INVALID_INPUT: two violations
  template_id (BAD_FORMAT): use a-z
  draft.content (LONE_BRACE): line 1, column 4
`,
    });
  });

  it('no server: it says which address it tried and how to start one', async () => {
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    assert.deepEqual(await runCommand(['tenant', 'list', '--server', `127.0.0.1:${port}`]), {
      exitCode: 1,
      stdout: '',
      stderr:
        `error: no server answers at http://127.0.0.1:${port} (the connection was refused)\n` +
        'Start one with `platen serve`, or name another with --server or PLATEN_SERVER.\n',
    });
  });

  it('--server goes before PLATEN_SERVER', async () => {
    const { stderr } = await runAgainst(EVERYTHING, ['tenant', 'list', '--server', 'ftp://host']);
    assert.equal(stderr, 'error: "ftp://host" is no address of a server; write it as http://127.0.0.1:50051\n');
  });

  it('an address that is none is a wrong command line', async () => {
    const outcome = await runCommand(['tenant', 'list'], { env: { PLATEN_SERVER: 'not an address' } });
    assert.deepEqual(outcome, {
      exitCode: 2,
      stdout: '',
      stderr: 'error: "not an address" is no address of a server; write it as http://127.0.0.1:50051\n',
    });
  });

  it('a bad file names its lines', async () => {
    const outcome = await runAgainst(EVERYTHING, ['bundle', 'create', 'a', '--file', '-'], {
      stdin: 'type: greeting\nsection: []\n',
    });
    assert.deepEqual([outcome.exitCode, outcome.stdout, outcome.stderr], [
      1,
      '',
      'error: <stdin>:1: type: "greeting" is no PromptType; ' +
        'allowed: SYSTEM_PROMPT, GREETING, FAREWELL, REJECTION, CLARIFICATION, HANDOFF\n' +
        'error: <stdin>:2: section: unknown key; allowed: type, description, version, channel, activate, ' +
        'personality, sections, constraints, model_config\n',
    ]);
  });

  for (const [args, message] of [
    [['tenant', 'delete', 'a'], "error: unknown command 'delete'"],
    [['tenant', 'create'], "error: missing required argument 'tenant'"],
    [['tenant', 'list', '--nope'], "error: unknown option '--nope'"],
    [['template', 'publish', 'a'], "error: required option '--version <semver>' not specified"],
    [['bundle', 'list', '--type', 'greeting'], "argument 'greeting' is invalid. Allowed choices are SYSTEM_PROMPT, "],
    [['tenant', 'create', 'a', '--var', 'tone'], "argument 'tone' is invalid. It must have the form name=value."],
    [['render', '--label', '=x'], "argument '=x' is invalid. It must have the form name=value."],
    [['bundle', 'list', '--page-size', '-1'], "argument '-1' is invalid. It must be a whole number, "],
    [['bundle', 'list', '--page-size', '2147483648'], 'It must be a whole number, at most 2147483647.'],
    [['audit', 'changes', '--limit', '0'], "argument '0' is invalid. It must be at least 1."],
    [['audit', 'change', '1e3'], "value '1e3' is invalid for argument 'seq'. It must be a whole number"],
  ] as const) {
    it(`platen ${args.join(' ')} is a wrong command line`, async () => {
      const { exitCode, stdout, stderr } = await runCommand(args);
      assert.equal(exitCode, 2);
      assert.equal(stdout, '');
      assert.ok(stderr.includes(message), stderr);
      assert.ok(stderr.includes('--help'), stderr);
    });
  }

  it('a group without a command shows its help', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['bundle']);
    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: platen bundle/);
  });

  it('--help prints what is possible and is no error', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['bundle', 'publish', '--help']);
    assert.equal(exitCode, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^Usage: platen bundle publish \[options\] <id>/);
    assert.match(stdout, /--edit-version <n>/);
    assert.match(stdout, /--server <address>/);
    assert.match(stdout, /--tenant <id> +the tenant that owns it \(default: "default"\)/);
    assert.match(stdout, /--activate +make it answer renders of its type as well\n/);
  });

  it('--help names the values that an option may have', async () => {
    const { stdout } = await runCommand(['audit', 'changes', '--help']);
    const choices = /\(choices: "TENANT", "TEMPLATE", "BUNDLE", "ACTIVATION", "RECEIPT"\)/;
    assert.match(stdout.replaceAll(/\s+/g, ' '), choices);
  });

  describe('a reader that closes its pipe early', () => {
    const failing = (code: string) => {
      const stream = new PassThrough();
      const write = (): boolean => stream.emit('error', Object.assign(new Error('write failed'), { code }));
      return Object.assign(stream, { write }) as Output;
    };
    const run = async (code: string): Promise<Terminal> => {
      const terminal: Terminal = { stdin: process.stdin, stdout: failing(code), stderr: failing('EPIPE'), env: {} };
      const program = newProgram(terminal);
      program.command('say').action(() => {
        terminal.stderr.write('much');
        terminal.stdout.write('more');
      });
      await runProgram(program, ['say'], terminal);
      return terminal;
    };

    it('is no error', async () => {
      assert.equal((await run('EPIPE')).exitCode, undefined);
    });

    it('is told from a disk that is full', async () => {
      assert.equal((await run('ENOSPC')).exitCode, 1);
    });
  });

  it('an exit code that the process has already is left alone by success', async () => {
    const { stdin, stdout, stderr } = process;
    const terminal = { stdin, stdout, stderr, env: {}, exitCode: 7 };
    const program = newProgram(terminal);
    program.command('nothing').action(() => {});
    await runProgram(program, ['nothing'], terminal);
    assert.equal(terminal.exitCode, 7);
  });
});
