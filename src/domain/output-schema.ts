/** JSON Schema 2020-12, by ajv. Formats are annotations; patterns are RE2, so that their time is linear. */
import type { ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import type { Violations } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { MAX_JSON_SCHEMA_INSTRUCTIONS, MAX_JSON_SCHEMA_PARTS } from './limits.ts';
import { BYTES_PER_INSTRUCTION, classWork } from './pattern.ts';
import { cut } from './text.ts';

/** One thing that is wrong with a value. */
export interface SchemaBreach {
  readonly message: string;
  /** The value in question (RFC 6901). */
  readonly pointer: string;
}

export interface SchemaBreaches {
  /** The first ones that ajv finds. */
  readonly list: readonly SchemaBreach[];
  readonly total: number;
}

export interface CompiledSchema {
  /**
   * What is wrong with a value. Time is not bounded by the value alone: references may fan out, and `uniqueItems`
   * compares each item with each other. End it from outside.
   * @param most breaches to list
   * @throws Error if the schema cannot be evaluated on the value, as one that refers to itself without end
   */
  breaches(value: Json, most: number): SchemaBreaches;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
}

/** Compiles the patterns of one schema, up to a number of instructions in all. */
class Patterns {
  instructions = 0;
  readonly regExp = Object.assign((pattern: string) => this.#compile(pattern), { code: 're2js' });

  #compile(pattern: string): RE2JS {
    const translated = RE2JS.translateRegExp(pattern);
    this.#take(classWork(translated));
    const expression = RE2JS.compile(translated);
    this.#take(expression.programSize());
    return expression;
  }

  #take(instructions: number): void {
    this.instructions += instructions;
    if (this.instructions <= MAX_JSON_SCHEMA_INSTRUCTIONS) return;
    throw new RangeError(`its patterns compile to more than ${MAX_JSON_SCHEMA_INSTRUCTIONS} instructions; repeat less`);
  }
}

const OPTIONS = { strict: false, validateFormats: false, logger: false } as const;

/** For schemas that the meta-schema has passed. Inlining would multiply one large definition many times. */
const COMPILING = {
  ...OPTIONS,
  validateSchema: false,
  inlineRefs: false,
  allErrors: true,
  ownProperties: true,
  // Otherwise 0.3 is no multiple of 0.1.
  multipleOfPrecision: 12,
} as const;

/** Knows the meta-schema, which is dear to compile, and nothing else: validating does not add to it. */
const metaSchema = new Ajv2020(OPTIONS);

/** Objects, lists and booleans in a schema: what ajv makes code of. */
function parts(schema: Json): number {
  if (typeof schema !== 'object' || schema === null) return typeof schema === 'boolean' ? 1 : 0;
  return Object.values(schema).reduce<number>((sum, member) => sum + parts(member), 1);
}

const DYNAMIC_REFERENCES: ReadonlySet<string> = new Set(['$dynamicRef', '$recursiveRef']);

/** Dynamic references to what is no $dynamicAnchor: ajv would take the schema around them for it. */
function danglingReferences(schema: JsonObject): string[] {
  const anchors = new Set<Json>();
  const references: string[] = [];
  const visit = (value: Json): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (name === '$dynamicAnchor') anchors.add(member);
      if (DYNAMIC_REFERENCES.has(name) && typeof member === 'string') references.push(member);
      visit(member);
    }
  };
  visit(schema);
  return references.filter((reference) => reference !== '#' && !anchors.has(reference.slice(1)));
}

/** Whether evaluating the schema begins with evaluating it; there are other ways never to end. */
function isEndless(schema: JsonObject): boolean {
  return ['$ref', ...DYNAMIC_REFERENCES].some((name) => schema[name] === '#');
}

/** Why the schema is none, or undefined; and the instructions of its patterns. Keeps nothing of it. */
function inspect(schema: JsonObject): { defect: string | undefined; instructions: number } {
  const patterns = new Patterns();
  const found = (defect?: string) => ({ defect, instructions: patterns.instructions });
  const count = parts(schema);
  if (count > MAX_JSON_SCHEMA_PARTS) {
    return found(`it has ${count} parts; at most ${MAX_JSON_SCHEMA_PARTS} are allowed: use $ref, or split it`);
  }
  try {
    if (metaSchema.validateSchema(schema) !== true) {
      return found(metaSchema.errorsText(metaSchema.errors, { dataVar: 'json_schema' }));
    }
    if (isEndless(schema)) return found('it refers to itself without end');
    const [dangling] = danglingReferences(schema);
    if (dangling !== undefined) {
      return found(`can't resolve reference ${dangling}, as no $dynamicAnchor has that name; use $ref`);
    }
    const validate = new Ajv2020({ ...COMPILING, code: { regExp: patterns.regExp } }).compile(schema);
    return found('$async' in validate ? '$async is no keyword of it' : undefined);
  } catch (error) {
    const { message } = error as Error;
    return found(/call stack/.test(message) ? 'it refers to itself without end' : message);
  }
}

/**
 * Checks that a schema is valid under the 2020-12 meta-schema, every reference within itself, every pattern RE2.
 * @param schema JSON that boundedJson has passed
 * @returns the instructions that its patterns compile to
 */
export function checkJsonSchema(violations: Violations, field: string, schema: JsonObject): number {
  const { defect, instructions } = inspect(schema);
  if (defect !== undefined) {
    violations.add(field, 'DOES_NOT_COMPILE', `does not compile as JSON Schema 2020-12: ${defect}`);
  }
  return instructions;
}

const MAX_DETAIL_UNITS = 200;

/** What ajv's message leaves out. */
function detail({ keyword, params }: ErrorObject): string {
  const told: Readonly<Record<string, string>> = {
    enum: 'allowedValues',
    const: 'allowedValue',
    additionalProperties: 'additionalProperty',
    unevaluatedProperties: 'unevaluatedProperty',
    propertyNames: 'propertyName',
  };
  const name = told[keyword];
  return name === undefined ? '' : `: ${cut(JSON.stringify(params[name]), MAX_DETAIL_UNITS)}`;
}

/** Measured on compiled schemas: 35 to 65, and 12 KiB for the empty one. */
const BYTES_PER_BYTE = 64;
const BASE_BYTES = 16 * 1024;

/** Compiles a schema that checkJsonSchema has passed. */
export function compileJsonSchema(schema: JsonObject): CompiledSchema {
  const patterns = new Patterns();
  const validate = new Ajv2020({ ...COMPILING, code: { regExp: patterns.regExp } }).compile(schema);
  return {
    breaches(value, most) {
      if (validate(value)) return { list: [], total: 0 };
      const errors = validate.errors as ErrorObject[];
      validate.errors = null;
      const list = errors.slice(0, most).map((error) => ({
        message: `${error.message}${detail(error)}`,
        pointer: error.instancePath,
      }));
      return { list, total: errors.length };
    },
    bytes: BASE_BYTES + JSON.stringify(schema).length * BYTES_PER_BYTE + patterns.instructions * BYTES_PER_INSTRUCTION,
  };
}
