import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Code, type HandlerContext } from '@connectrpc/connect';
import { runAgainst, type Circumstances } from '../../support/cli/run-command.ts';
import { refusal, type Script } from '../../support/cli/scripted-server.ts';

const HEADS = { changeSeq: 120n, changeHash: 'ab'.repeat(32), batch: 7n, batchHash: 'cd'.repeat(32) };
const COUNTS = { documents: 40n, changes: 120n, receipts: 1_000n, prunedReceipts: 3n };
const FINDING = {
  part: 2,
  problem: 3,
  seq: 12n,
  expected: 'aaaa',
  actual: 'bbbb',
  description: 'change 12 does not follow change 11',
};

const INTACT: Script = {
  audit: {
    async *verifyAudit() {
      yield { part: 1, verified: 40n, total: 40n };
      yield { part: 2, verified: 120n, total: 120n };
      yield { part: 3, verified: 1_000n, total: 1_000n, result: { intact: true, heads: HEADS, ...COUNTS } };
    },
  },
};

const TAMPERED: Script = {
  audit: {
    async *verifyAudit() {
      yield { part: 2, verified: 11n, total: 120n, finding: FINDING };
      yield { part: 3, verified: 0n, total: 0n, result: { intact: false, documents: 40n, changes: 11n } };
    },
  },
};

const SHOWN = `intact           yes
change_seq       120
change_hash      ${HEADS.changeHash}
batch            7
batch_hash       ${HEADS.batchHash}
documents        40
changes          120
receipts         1000
pruned_receipts  3
`;

const FOUND = `CHANGES BROKEN_LINK: change 12 does not follow change 11
  change    12
  expected  aaaa
  actual    bbbb
`;

function pem(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }) as string;
}

describe('Verification shows tampering: platen audit verify', () => {
  it('an intact trail ends with 0', async () => {
    const { calls, ...outcome } = await runAgainst(INTACT, ['audit', 'verify']);
    assert.deepEqual(calls, [{ method: 'VerifyAudit', request: {} }]);
    assert.deepEqual(outcome, { exitCode: 0, stdout: SHOWN, stderr: '' });
  });

  it('a finding is named, and ends with 1', async () => {
    const { calls, ...outcome } = await runAgainst(TAMPERED, ['audit', 'verify']);
    assert.equal(calls.length, 1);
    assert.deepEqual(outcome, {
      exitCode: 1,
      stdout:
        `${FOUND}intact           no\ndocuments        40\nchanges          11\nreceipts         0\n` +
        'pruned_receipts  0\n',
      stderr: '',
    });
  });

  it('a finding says which batch, receipt and document it is about', async () => {
    const where = { batch: 7n, renderId: '0197', documentHash: 'dddd' };
    const finding = { part: 3, problem: 2, description: 'altered', ...where };
    const script: Script = {
      audit: {
        async *verifyAudit() {
          yield { part: 3, finding, result: { intact: false } };
        },
      },
    };
    const { stdout } = await runAgainst(script, ['audit', 'verify']);
    assert.match(
      stdout,
      /^RECEIPTS ALTERED: altered\n {2}batch +7\n {2}receipt +0197\n {2}document +dddd\nintact +no\n/,
    );
  });

  it('--json prints the last message, and findings on standard error', async () => {
    const { stdout, stderr, exitCode } = await runAgainst(TAMPERED, ['audit', 'verify', '--json']);
    assert.equal(exitCode, 1);
    assert.deepEqual(JSON.parse(stdout), {
      part: 'AUDIT_PART_RECEIPTS',
      result: { documents: '40', changes: '11' },
    });
    assert.equal(stderr, FOUND);
  });

  it('a person sees a bar on standard error', async () => {
    const { stdout, stderr } = await runAgainst(INTACT, ['audit', 'verify'], { interactive: true });
    assert.equal(stdout, SHOWN);
    assert.match(stderr, /verifying documents \[=+\] 100% 40\/40/);
    assert.match(stderr, /verifying receipts \[=+\] 100% 1000\/1000/);
  });

  it('may take an hour', async () => {
    let timeout: number | undefined;
    const script: Script = {
      audit: {
        async *verifyAudit(_request: unknown, context: HandlerContext) {
          timeout = context.timeoutMs();
          yield { result: { intact: true } };
        },
      },
    };
    assert.equal((await runAgainst(script, ['audit', 'verify'])).exitCode, 0);
    assert.ok(timeout! > 3_500_000, String(timeout));
  });

  it('a refusal is an error, also amid a bar', async () => {
    const script: Script = {
      audit: {
        async *verifyAudit() {
          yield { part: 1, verified: 1n, total: 2n };
          throw refusal(Code.Unavailable, 'DATABASE_UNAVAILABLE', 'the database is away');
        },
      },
    };
    const { exitCode, stdout, stderr } = await runAgainst(script, ['audit', 'verify'], { interactive: true });
    assert.deepEqual([exitCode, stdout], [1, '']);
    assert.match(stderr, /error: UNAVAILABLE DATABASE_UNAVAILABLE: the database is away\n$/);
  });

  it('an end without a result is never taken for intact', async () => {
    const script: Script = {
      audit: {
        async *verifyAudit() {
          yield { part: 1 };
        },
      },
    };
    const { exitCode, stderr } = await runAgainst(script, ['audit', 'verify']);
    assert.deepEqual([exitCode, stderr], [1, 'error: the server ended the verification without a result\n']);
  });
});

describe('Checkpoints are signed and checked offline', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const other = generateKeyPairSync('ed25519');
  let folder: string;
  let out: string;
  let publicPem: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
    out = join(folder, 'checkpoint.json');
    publicPem = join(folder, 'public.pem');
    await writeFile(publicPem, pem(publicKey));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const checkpoint = (script: Script, words: readonly string[] = [], circumstances: Circumstances = {}) =>
    runAgainst(script, ['audit', 'checkpoint', '--out', out, ...words], {
      env: { PLATEN_AUDIT_SIGNING_KEY: pem(privateKey) },
      ...circumstances,
    });
  const verify = (script: Script = INTACT) =>
    runAgainst(script, ['audit', 'verify', '--checkpoint', out, '--public-key', publicPem]);
  const signedFile = async (text: string, key: KeyObject = privateKey): Promise<void> => {
    await writeFile(out, text);
    await writeFile(`${out}.sig`, sign(null, Buffer.from(text), key));
  };
  const openssl = async (line: string): Promise<string> => {
    const words = line.split(' ').filter(Boolean).slice(1);
    const args = words.map((word) => (word === 'public.pem' ? publicPem : word));
    const done = await promisify(execFile)('openssl', args).catch((error: { stdout: string; stderr: string }) => error);
    return done.stdout + done.stderr;
  };

  describe('platen audit checkpoint', () => {
    it('writes canonical JSON of the ends of the chains, once all is intact', async () => {
      const before = Date.now();
      const { exitCode, stdout, stderr, calls } = await checkpoint(INTACT);
      assert.deepEqual([exitCode, stderr, calls.length], [0, '', 1]);
      const text = await readFile(out, 'utf8');
      const { time } = JSON.parse(text) as { time: string };
      assert.equal(
        text,
        `{"batch":7,"batch_hash":"${HEADS.batchHash}","change_hash":"${HEADS.changeHash}","change_seq":120,` +
          `"format":"platen-checkpoint-1","time":"${time}"}\n`,
      );
      assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now());
      assert.deepEqual((await readdir(folder)).toSorted(), ['checkpoint.json', 'checkpoint.json.sig', 'public.pem']);
      assert.equal((await readFile(`${out}.sig`)).length, 64);
      assert.ok(stdout.startsWith(SHOWN), stdout);
    });

    it('prints the openssl command that checks it, and shows a checkpoint that was tampered with', async () => {
      const { stdout } = await checkpoint(INTACT);
      const command = /^ {2}openssl pkeyutl .*$/m.exec(stdout)![0];
      assert.equal(
        command,
        `  openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in ${out} -sigfile ${out}.sig`,
      );
      assert.match(await openssl(command), /Signature Verified Successfully/);
      await writeFile(out, (await readFile(out, 'utf8')).replace('"change_seq":120', '"change_seq":121'));
      assert.match(await openssl(command), /Signature Verification Failure/);
    });

    it('takes the key from a file too', async () => {
      const file = join(folder, 'private.pem');
      await writeFile(file, pem(privateKey));
      const { exitCode } = await checkpoint(INTACT, [], { env: { PLATEN_AUDIT_SIGNING_KEY: file } });
      assert.equal(exitCode, 0);
      assert.equal((await verify()).exitCode, 0);
    });

    it('--json prints the last message', async () => {
      const { stdout } = await checkpoint(INTACT, ['--json']);
      assert.equal((JSON.parse(stdout) as { result: { intact: boolean } }).result.intact, true);
    });

    it('signs nothing that is not intact', async () => {
      const { exitCode, stdout, stderr } = await checkpoint(TAMPERED);
      assert.equal(exitCode, 1);
      assert.ok(stdout.startsWith(FOUND), stdout);
      assert.equal(stderr, 'No checkpoint was written: what is not intact is not signed.\n');
      assert.deepEqual(await readdir(folder), ['public.pem']);
    });

    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const noKey = 'error: PLATEN_AUDIT_SIGNING_KEY is no Ed25519 private key as PEM (PKCS #8, not encrypted)\n';
    const whatItIs = 'it is the Ed25519 private key, or a file with it, as PEM';
    const noFile = 'error: PLATEN_AUDIT_SIGNING_KEY is neither a private key as PEM nor a file that can be read\n';
    for (const [what, setting, message] of [
      ['no key', '', `error: PLATEN_AUDIT_SIGNING_KEY is not set: ${whatItIs}\n`],
      ['a file that is not there', '/nowhere/private.pem', noFile],
      ['an RSA key', pem(rsa), noKey],
      ['a public key', pem(publicKey), noKey],
      ['a key that is cut off', pem(privateKey).slice(0, 60), noKey],
    ] as const) {
      it(`refuses ${what}, and never prints it`, async () => {
        const outcome = await checkpoint(INTACT, [], { env: { PLATEN_AUDIT_SIGNING_KEY: setting } });
        assert.deepEqual([outcome.exitCode, outcome.stderr, outcome.calls.length], [2, message, 0]);
      });
    }

    for (const taken of ['checkpoint.json', 'checkpoint.json.sig']) {
      it(`leaves a ${taken} alone that is there, unless --force replaces it`, async () => {
        await writeFile(join(folder, taken), 'old');
        const { exitCode, stderr, calls } = await checkpoint(INTACT);
        assert.deepEqual([exitCode, calls.length], [2, 0]);
        assert.equal(stderr, `error: ${join(folder, taken)} is there already; --force replaces it\n`);
        assert.equal(await readFile(join(folder, taken), 'utf8'), 'old');
        assert.equal((await checkpoint(INTACT, ['--force'])).exitCode, 0);
        assert.equal((await verify()).exitCode, 0);
      });
    }

    it('says before the work that it cannot write', async () => {
      const { exitCode, stderr, calls } = await checkpoint(INTACT, ['--out', join(folder, 'none', 'x')]);
      assert.deepEqual([exitCode, calls.length], [1, 0]);
      assert.equal(stderr, `error: ${join(folder, 'none', 'x')}: cannot be written (ENOENT)\n`);
    });

    it('never leaves a checkpoint without its signature', async () => {
      await mkdir(join(`${out}.sig`, 'in the way'), { recursive: true });
      const { exitCode, stderr } = await checkpoint(INTACT, ['--force']);
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: .*checkpoint\.json: cannot be written \(\w+\)$/m);
      assert.ok(!(await readdir(folder)).includes('checkpoint.json'));
    });
  });

  describe('platen audit verify --checkpoint', () => {
    it('sends a genuine one along', async () => {
      await checkpoint(INTACT);
      const { calls, exitCode } = await verify();
      assert.equal(exitCode, 0);
      assert.deepEqual(calls[0]!.request, {
        checkpoint: { changeSeq: '120', changeHash: HEADS.changeHash, batch: '7', batchHash: HEADS.batchHash },
      });
    });

    it('sends nothing if the signature is not genuine', async () => {
      await checkpoint(INTACT);
      await writeFile(`${out}.sig`, sign(null, await readFile(out), other.privateKey));
      const { exitCode, stderr, calls } = await verify();
      assert.deepEqual([exitCode, calls.length], [1, 0]);
      assert.equal(stderr, `error: ${out}.sig: is no signature of ${out} by the key in ${publicPem}\n`);
    });

    it('refuses a file that was changed, down to its last byte', async () => {
      await checkpoint(INTACT);
      await writeFile(out, (await readFile(out, 'utf8')).trimEnd());
      assert.deepEqual([(await verify()).exitCode, (await verify()).calls.length], [1, 0]);
    });

    for (const text of ['{"format":"platen-checkpoint-2"}', 'null', 'no JSON']) {
      it(`refuses what is signed but no checkpoint: ${text}`, async () => {
        await signedFile(text);
        const { exitCode, stderr } = await verify();
        assert.equal(exitCode, 1);
        assert.equal(stderr, `error: ${out}: is no checkpoint of the format platen-checkpoint-1\n`);
      });
    }

    it('refuses what is no Ed25519 public key', async () => {
      await checkpoint(INTACT);
      await writeFile(publicPem, 'no key');
      const { exitCode, stderr } = await verify();
      assert.deepEqual([exitCode, stderr], [1, `error: ${publicPem}: is no Ed25519 public key as PEM\n`]);
    });

    it('names a signature that is not there', async () => {
      await writeFile(out, '{}');
      const { exitCode, stderr } = await verify();
      assert.deepEqual([exitCode, stderr], [1, `error: ${out}.sig: cannot be read (ENOENT)\n`]);
    });

    it('needs the file and the key', async () => {
      for (const words of [['--checkpoint', 'a'], ['--public-key', 'a']]) {
        const { exitCode, stderr, calls } = await runAgainst(INTACT, ['audit', 'verify', ...words]);
        assert.deepEqual([exitCode, calls.length], [2, 0]);
        assert.match(stderr, /^error: --checkpoint and --public-key go together/);
      }
    });
  });
});
