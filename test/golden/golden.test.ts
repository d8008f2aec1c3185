import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Outcome, readVectors, renderVector } from './vectors.ts';

const VECTORS = [...readVectors()];

function local(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Renders all vectors in a process of its own. */
function renderElsewhere(environment: NodeJS.ProcessEnv): Record<string, Outcome> {
  const output = execFileSync(process.execPath, [local('render-vectors.ts')], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...environment },
  });
  return JSON.parse(output) as Record<string, Outcome>;
}

describe('Assembly is deterministic', () => {
  for (const [file, vector] of VECTORS) {
    it(`${file}: ${vector.title}`, () => assert.deepEqual(renderVector(vector), vector.expect));
  }

  it('two separate processes with different locales and time zones render the recorded bytes', () => {
    const recorded = Object.fromEntries(VECTORS.map(([file, { expect }]) => [file, expect]));
    assert.deepEqual(renderElsewhere({ LC_ALL: 'tr_TR.UTF-8', TZ: 'Pacific/Kiritimati' }), recorded);
    assert.deepEqual(renderElsewhere({ LC_ALL: 'C', TZ: 'America/St_Johns' }), recorded);
  });
});

describe('Hashes are lower-case hex SHA-256', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'platen-golden-'));
  });

  after(() => rmSync(folder, { recursive: true }));

  it('the golden hashes, recomputed by sha256sum', () => {
    const sums = VECTORS.flatMap(([file, { expect: { snapshot, values, text, hashes } }]) => {
      const covered: [string, string, string][] = [
        [`${file}.snapshot.json`, snapshot, hashes.bundle_hash],
        [`${file}.values.json`, values, hashes.variables_hash],
        [`${file}.text.txt`, text, hashes.rendered_hash],
      ];
      return covered.map(([name, bytes, hash]) => {
        writeFileSync(join(folder, name), bytes);
        return `${hash}  ${name}\n`;
      });
    });
    writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
    execFileSync('sh', [local('verify.sh'), folder], { stdio: 'pipe' });
  });

  it('the golden hashes, recomputed by a few lines of Python', () => {
    const outcomes = VECTORS.map(([file, { bundle, placeholders = {}, expect }]) => {
      const named = bundle.sections.flatMap((section) => ('placeholder' in section ? [section.placeholder] : []));
      const used = named.flatMap((name) => (placeholders[name]?.length ? [[name, placeholders[name]]] : []));
      return [file, { ...expect, placeholders: Object.fromEntries(used) as object }];
    });
    const path = join(folder, 'outcomes.json');
    writeFileSync(path, JSON.stringify(Object.fromEntries(outcomes)));
    const verdict = execFileSync('python3', [local('verify.py'), path], { encoding: 'utf8' });
    assert.equal(verdict, `${VECTORS.length} outcomes verified\n`);
  });
});
