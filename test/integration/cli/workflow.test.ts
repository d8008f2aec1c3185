import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, type Outcome } from '../../support/cli/run-command.ts';
import { Platen } from '../../support/platen.ts';

/** The commands against a server as it is deployed. */
describe('Commands cover the services: a working day', () => {
  let platen: Platen;
  let folder: string;
  before(async () => {
    platen = await Platen.start();
    folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
  });
  after(async () => {
    await rm(folder, { recursive: true });
    await platen.stop();
  });

  const run = (line: string, stdin = ''): Promise<Outcome> =>
    runCommand(line.split(' '), { stdin, env: { PLATEN_SERVER: `http://${platen.grpcAddress}` } });
  const works = async (line: string, stdin = ''): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(line, stdin);
    assert.equal(exitCode, 0, `${line}\n${stderr}`);
    return stdout;
  };
  const field = async (line: string, path: string): Promise<string> => {
    let value: unknown = JSON.parse(await works(`${line} --json`));
    for (const name of path.split('.')) value = (value as Record<string, unknown>)[name];
    return value as string;
  };
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  it('from nothing to a prompt', async () => {
    const hello = await file('hello.md', '---\ntype: GREETING\n---\nHello {user}, welcome to {brand}!\n');
    const welcome = await file(
      'welcome.yaml',
      'type: GREETING\nsections:\n  - { template: hello, version: ^1.0.0, role: SYSTEM }\n  - placeholder: history\n',
    );
    const history = await file('history.yaml', '- { role: USER, content: Hi }\n');
    await works('tenant create acme --display-name Acme --var brand=Acme --capture FULL');
    await works(`template create hello --tenant acme --file ${hello}`);
    await works('template publish hello --tenant acme --version 1.0.0 --edit-version 1');
    await works(`bundle create welcome --tenant acme --file ${welcome}`);
    await works('bundle publish welcome --tenant acme --version 1.0.0 --edit-version 1');
    await works('release set welcome 1.0.0 --tenant acme');
    await works('bundle activate welcome --tenant acme --type GREETING');
    assert.equal(
      await works(`render --tenant acme --type GREETING --var user=Ann --history ${history}`),
      'Hello Ann, welcome to Acme!\n\nHi',
    );
  });

  it('bundle export --canonical prints the bytes of the bundle_hash', async () => {
    const bytes = await works('bundle export welcome --tenant acme --version 1.0.0 --canonical');
    const hash = await field('bundle show-version welcome 1.0.0 --tenant acme', 'version.bundleHash');
    assert.equal(createHash('sha256').update(bytes).digest('hex'), hash);
  });

  it('the text of a render hashes to its rendered_hash, and its receipt replays', async () => {
    const { stdout, stderr } = await run('render --tenant acme --bundle welcome --var user=Ann');
    const hash = createHash('sha256').update(stdout).digest('hex');
    assert.match(stderr, new RegExp(`^rendered_hash +${hash}$`, 'm'));
    const receipt = /^receipt +(\S+)$/m.exec(stderr)![1]!;
    assert.match(await works(`audit replay ${receipt}`), /^outcome +MATCH$/m);
    assert.match(await works(`audit receipt ${receipt}`), /^variables:\n {2}brand: Acme\n {2}user: Ann$/m);
    assert.match(await works('audit receipts --tenant acme'), new RegExp(receipt));
  });

  it('a preview of an unsaved file tells what is missing', async () => {
    const draft = await file('draft.md', '---\ntype: GREETING\n---\nDear {user} {title}\n');
    const { exitCode, stdout, stderr } = await run(`preview --tenant acme --file ${draft} --var user=Ann`);
    assert.equal(exitCode, 0);
    assert.equal(stdout, 'Dear Ann {title}');
    assert.match(stderr, /^missing +title$/m);
  });

  it('two violations are both shown', async () => {
    const { exitCode, stdout, stderr } = await run('template create NO! --type GREETING --file -', 'Hello }\n');
    assert.equal(exitCode, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^error: INVALID_ARGUMENT INVALID_INPUT\n/);
    assert.match(stderr, /^ {2}template_id \(BAD_FORMAT\): /m);
    assert.match(stderr, /^ {2}draft\.content \(LONE_BRACE\): /m);
  });

  it('a colleague was faster', async () => {
    const update = 'template update hello --tenant acme --file - --edit-version 1';
    const front = '---\ntype: GREETING\n---\n';
    await works(update, `${front}Good morning {user}, welcome to {brand}!\n`);
    const { exitCode, stdout, stderr } = await run(update, `${front}Hi {user}!\n`);
    assert.equal(exitCode, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^error: ABORTED STALE_EDIT_VERSION: /);
    assert.match(stderr, /^ {2}2 by anonymous@loopback at .+ \(change \d+\)$/m);
    assert.match(stderr, /^-Hello \{user\}, welcome to \{brand\}!\n\+Good morning \{user\}, welcome to \{brand\}!$/m);
    assert.match(stderr, /^ {2}platen template update hello --tenant acme --edit-version 2 --file -$/m);
    assert.match(await works('template get hello --tenant acme'), /^Good morning/m);
  });

  it('a colleague was faster with a bundle, and with a tenant', async () => {
    const sections = 'sections: [{ template: hello, version: ^1.0.0, role: SYSTEM }]\n';
    const bundle = 'bundle update welcome --tenant acme --file - --edit-version 1';
    await works(bundle, `description: Shorter.\n${sections}`);
    assert.match((await run(bundle, sections)).stderr, /^\+description: Shorter\.$/m);
    const tenant = 'tenant update acme --edit-version 1';
    await works(`${tenant} --var brand=ACME`);
    assert.match((await run(`${tenant} --var brand=Acm`)).stderr, /^- {2}brand: Acme\n\+ {2}brand: ACME$/m);
  });

  it('a release is rolled back, a channel withdrawn, an activation taken away, a bundle archived', async () => {
    await works('bundle publish welcome --tenant acme --version 1.1.0 --edit-version 2 --channel production');
    assert.match(await works('render --tenant acme --type GREETING --var user=Ann'), /^Hello Ann/);
    await works('release rollback welcome --tenant acme --expected-revision 2');
    await works('release withdraw welcome --tenant acme');
    const kinds = (await works('release list welcome --tenant acme')).match(/RELEASE|ROLLBACK|WITHDRAW/g);
    assert.deepEqual(kinds, ['WITHDRAW', 'ROLLBACK', 'RELEASE', 'RELEASE']);
    const used = await run('bundle archive welcome --tenant acme --edit-version 2');
    assert.match(used.stderr, /^error: FAILED_PRECONDITION RESOURCE_IN_USE\n/);
    await works('bundle deactivate --tenant acme --type GREETING');
    await works('bundle archive welcome --tenant acme --edit-version 2');
    assert.equal(await works('bundle list --tenant acme'), 'none\n');
    assert.match(await works('bundle list --tenant acme --archived'), /^welcome .* archived$/m);
    await works('template archive hello --tenant acme --edit-version 2');
  });

  it('a repeated request_id gets the stored answer', async () => {
    const first = await works('tenant create twice --request-id once');
    assert.equal(await works('tenant create twice --request-id once'), first);
  });

  describe('what get prints is a file that update takes, and nothing changes', () => {
    const unchanged = async (kind: string, name: string, hash: string): Promise<void> => {
      const get = `${kind} get ${name}`;
      const [before, editVersion] = [await field(get, `${kind}.${hash}`), await field(get, `${kind}.editVersion`)];
      const path = await file('round-trip', await works(get));
      await works(`${kind} update ${name} --file ${path} --edit-version ${editVersion}`);
      assert.equal(await field(get, `${kind}.${hash}`), before);
    };

    before(() => works('tenant create trip --display-name Trip'));

    const contents = {
      'leading ---': '---\ntype: FAREWELL\n---\nHi {user}',
      'the facts that get prints': 'template  acme/hello\nedit_version  2\n\n---\ntype: GREETING\n---\nHi',
      'trailing newlines': '\n\nHi {user}\n\n\n',
      unicode: 'Grüße 👋🏽 e\u0301 \u2028 \u00A0 你好 {user}',
      'CRLF line ends': 'Hi {user},\r\n\r\nbye.\r\n\r\n',
      'trailing spaces': '  Hi {user}  \n\t',
    };
    for (const [i, [what, content]] of Object.entries(contents).entries()) {
      it(`of a template with ${what}`, async () => {
        const front = `description: " a\\r\\n---\\nb: é "\nvariables:\n  - { name: user, default: "\\r\\n #x " }\n`;
        await works(
          `template create t${i} --tenant trip --type GREETING --file -`,
          `---\n${front}---\n${content}\n`,
        );
        await unchanged('template', `t${i} --tenant trip`, 'draftHash');
        const stored = content.replaceAll('\r\n', '\n').normalize('NFC');
        assert.equal(await field(`template get t${i} --tenant trip`, 'template.draft.content'), stored);
        await works(`template publish t${i} --tenant trip --version 1.0.0 --edit-version 2`);
        const version = await file('version.md', await works(`template show-version t${i} 1.0.0 --tenant trip`));
        await works(`template create copy${i} --tenant trip --file ${version}`);
        assert.equal(
          await field(`template get copy${i} --tenant trip`, 'template.draftHash'),
          await field(`template get t${i} --tenant trip`, 'template.draftHash'),
        );
      });
    }

    it('of a bundle', async () => {
      const text = {
        type: 'GREETING',
        description: ' ---\r\nGrüße 👋🏽\n\n',
        sections: [{ template: 't0', version: '^1.0.0', role: 'SYSTEM' }, { placeholder: 'history' }],
        constraints: [
          { id: 'a', severity: 'ERROR', instruction: '- a\r\n- b\n', required_phrases: ['null', '1e3', '# x'] },
          { id: 'b', severity: 'WARNING', forbidden_pattern: '^---$' },
          { id: 'c', severity: 'ERROR', json_schema: { type: 'object', description: ' \n---\r\n' } },
        ],
        model_config: { temperature: 0.5, stop: ['\r\n', '\n---\n', ' '], seed: 1e21, none: null, empty: {} },
      };
      await works('bundle create b --tenant trip --file -', JSON.stringify(text));
      await unchanged('bundle', 'b --tenant trip', 'draftHash');
      await works('bundle publish b --tenant trip --version 1.0.0 --edit-version 2');
      const version = await file('version.yaml', await works('bundle show-version b 1.0.0 --tenant trip'));
      await works(`bundle create copy --tenant trip --file ${version}`);
      assert.equal(
        await field('bundle get copy --tenant trip', 'bundle.draftHash'),
        await field('bundle get b --tenant trip', 'bundle.draftHash'),
      );
    });

    it('of a tenant', async () => {
      const list = ['\r', '\uFEFFa', {}];
      const variables = { lines: ' \n---\r\nx\n', name: 'Grüße 👋🏽', zip: '0123', no: null, list };
      const text = { display_name: 'Trip: "one" #1', capture_policy: 'FULL', variables };
      await works('tenant update trip --file - --edit-version 1', JSON.stringify(text));
      assert.deepEqual(await field('tenant get trip', 'tenant.variables'), variables);
      await unchanged('tenant', 'trip', 'documentHash');
    });
  });

  describe('A former draft is brought back: with the hash that it had', () => {
    const drafts = async (kind: string, name: string): Promise<{ seq: string; afterHash: string }[]> => {
      const { changes } = JSON.parse(await works(`${kind} history ${name} --json`)) as {
        changes: { seq: string; afterHash: string }[];
      };
      return changes;
    };
    const bringsBack = async (kind: string, name: string, another: string): Promise<void> => {
      const hash = (): Promise<string> => field(`${kind} get ${name}`, `${kind}.draftHash`);
      const [former] = await drafts(kind, name);
      const editVersion = Number(await field(`${kind} get ${name}`, `${kind}.editVersion`));
      await works(`${kind} update ${name} --file - --edit-version ${editVersion}`, another);
      assert.notEqual(await hash(), former!.afterHash);
      await works(`${kind} restore ${name} --seq ${former!.seq}`);
      assert.equal(await hash(), former!.afterHash);
      assert.match(await works(`${kind} restore ${name} --seq ${former!.seq}`), /: nothing to do\n$/);
      const [latest, , first] = await drafts(kind, name);
      assert.deepEqual([latest!.afterHash, first!.afterHash], [former!.afterHash, former!.afterHash]);
    };

    for (const template of ['t0', 't1', 't2', 't3', 't4', 't5']) {
      it(`of template ${template}`, () => bringsBack('template', `${template} --tenant trip`, 'Another {user}'));
    }

    it('of a bundle', () =>
      bringsBack('bundle', 'b --tenant trip', 'sections: [{ template: t1, version: ^1.0.0, role: USER }]'));

    it('from a published version', async () => {
      await works('template update t2 --tenant trip --file - --edit-version 4', 'Another {user}');
      await works('template restore t2 --tenant trip --version 1.0.0');
      const hash = await field('template get t2 --tenant trip', 'template.draftHash');
      assert.equal(hash, await field('template show-version t2 1.0.0 --tenant trip', 'version.documentHash'));
    });
  });

  it('a reader of standard output may close it early, as head does', async () => {
    const child = spawn(process.execPath, ['src/main.ts', 'template', 'get', 'hello', '--tenant', 'acme'], {
      env: { ...process.env, PLATEN_SERVER: `http://${platen.grpcAddress}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    const [stderr, [exitCode]] = await Promise.all([child.stderr.setEncoding('utf8').toArray(), once(child, 'close')]);
    assert.match(stderr.join(''), /^template +acme\/hello\n/);
    assert.doesNotMatch(stderr.join(''), /EPIPE/);
    assert.equal(exitCode, 0);
  });

  it('the whole trail can be exported, whatever fits on a page', async () => {
    const lines = (await works('audit changes --format jsonl --page-size 7')).trimEnd().split('\n');
    const seqs = lines.map((line) => Number((JSON.parse(line) as { seq: string }).seq));
    assert.deepEqual(seqs, Array.from({ length: seqs[0]! }, (_, i) => seqs[0]! - i));
    const [header, ...records] = (await works('audit receipts --format csv')).trimEnd().split('\r\n');
    assert.match(header!, /^render_id,time,/);
    assert.ok(records.length > 0);
  });

  it('the trail tells it all', async () => {
    const changes = await works('audit changes --tenant acme --kind TEMPLATE');
    assert.deepEqual(changes.match(/ (CREATE|UPDATE|PUBLISH|ARCHIVE) /g), [
      ' ARCHIVE ',
      ' UPDATE ',
      ' PUBLISH ',
      ' CREATE ',
    ]);
    const seq = /^(\d+) .* UPDATE /m.exec(changes)![1]!;
    assert.match(await works(`audit change ${seq}`), /^-Hello \{user\}, welcome to \{brand\}!$/m);
  });
});
