import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultOperators, type TagToken, TypeGuards } from 'liquidjs';
import { RULE_KINDS, SEVERITIES } from '../../src/domain/constraint.ts';
import { INNER_TAGS, liquidTokens, TAGS } from '../../src/domain/liquid-engine.ts';
import { FILTERS } from '../../src/domain/liquid-filters.ts';
import { ROLES } from '../../src/domain/prompt-type.ts';
import { TEMPLATE_SYNTAXES } from '../../src/domain/template-content.ts';
import { VARIABLE_TYPES } from '../../src/domain/variable-rules.ts';
import { type Outcome, readRefused, readVectors, refusalOf, renderVector, templatesOf, textOf } from './vectors.ts';

const VECTORS = [...readVectors()];
const REFUSED = [...readRefused()];
const QUOTED = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g;

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

/** What the file says a vector comes to. */
function expected(name: string): Outcome {
  return VECTORS.find(([file]) => file === name)![1].expect;
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

  it('the order in which members are sent shows nowhere', () => {
    assert.deepEqual(
      expected('75-liquid-order-of-members-reversed.yaml'),
      expected('74-liquid-order-of-members.yaml'),
    );
  });
});

describe('Every violation is reported at once', () => {
  for (const [file, vector] of REFUSED) {
    it(`refused/${file}: ${vector.title}`, () => {
      const { error, violations } = refusalOf(vector);
      const wanted = vector.expect.violations ?? [];
      assert.equal(error, vector.expect.error);
      assert.deepEqual(
        violations.map(({ field, reason }) => ({ field, reason })),
        wanted.map(({ field, reason }) => ({ field, reason })),
      );
      wanted.forEach(({ at, says = '' }, index) => {
        const { description } = violations[index]!;
        if (at !== undefined) assert.match(description, new RegExp(`^${at}(?:: | of )`));
        assert.ok(description.includes(says), `${description}\nsays nothing of\n${says}`);
      });
    });
  }
});

describe('Equal content has equal bundle hashes', () => {
  it('written otherwise, with other values', () => {
    const one = expected('15-declarations.yaml').hashes;
    const other = expected('30-same-content.yaml').hashes;
    assert.equal(other.bundle_hash, one.bundle_hash);
    assert.equal(other.personality_hash, one.personality_hash);
    assert.notEqual(other.variables_hash, one.variables_hash);
  });

  it('and the same constraints in another bundle have the same constraints_hash', () => {
    const one = expected('12-constraints-only.yaml').hashes;
    const other = expected('33-constraints-of-another-bundle.yaml').hashes;
    assert.equal(other.constraints_hash, one.constraints_hash);
    assert.notEqual(other.bundle_hash, one.bundle_hash);
  });
});

describe('Golden vectors', () => {
  const templates = VECTORS.flatMap(([, vector]) => templatesOf(vector));
  const constraints = VECTORS.flatMap(([, { bundle }]) => bundle.constraints ?? []);
  const roles = VECTORS.flatMap(([, { bundle }]) => bundle.sections.map((part) => ('role' in part ? part.role : '')));

  /** The tags and outputs of all LIQUID templates, without what stands in quotes. */
  const markup = templates
    .filter(({ syntax }) => syntax === 'LIQUID')
    .flatMap(({ content }) => liquidTokens(textOf(content).replaceAll('\r', '\n')))
    .filter((token) => TypeGuards.isTagToken(token) || TypeGuards.isOutputToken(token))
    .map((token) => ({ tag: (token as TagToken).name, words: token.getText().replace(QUOTED, '""') }));

  /** Which of the names none of the uses has. */
  function unused(names: Iterable<string>, uses: Iterable<string>): string[] {
    const used = new Set(uses);
    return [...names].filter((name) => !used.has(name));
  }

  it('are at least sixty renders and fifteen refusals, each with a title and a reason', () => {
    assert.ok(VECTORS.length >= 60, String(VECTORS.length));
    assert.ok(REFUSED.length >= 15, String(REFUSED.length));
    for (const [file, { title, reason }] of [...VECTORS, ...REFUSED]) {
      assert.ok(title.trim().length > 0 && reason.trim().length >= 40, file);
    }
  });

  it('use every tag of LIQUID', () => {
    assert.deepEqual(unused([...TAGS, ...INNER_TAGS], markup.map(({ tag }) => tag)), []);
  });

  it('use every filter of LIQUID', () => {
    const filters = markup.flatMap(({ words }) => [...words.matchAll(/\|\s*(\w+)/g)].map(([, name]) => name!));
    assert.deepEqual(unused(FILTERS.keys(), filters), []);
  });

  it('use every operator of LIQUID', () => {
    assert.deepEqual(unused(Object.keys(defaultOperators), markup.flatMap(({ words }) => words.split(/\s+/))), []);
  });

  it('use every syntax, role, type of variable, rule and severity', () => {
    const types = templates.flatMap(({ variables = [] }) => variables.map(({ type }) => type));
    assert.deepEqual(unused(TEMPLATE_SYNTAXES, templates.map(({ syntax }) => syntax ?? 'FORMAT')), []);
    assert.deepEqual(unused(ROLES, roles), []);
    assert.deepEqual(unused(VARIABLE_TYPES, types), []);
    assert.deepEqual(unused(RULE_KINDS, constraints.flatMap((constraint) => Object.keys(constraint))), []);
    assert.deepEqual(unused(SEVERITIES, constraints.map((constraint) => String(constraint['severity']))), []);
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
