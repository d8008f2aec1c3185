/** JSON Schema 2020-12. Formats are annotations; patterns are RE2, so that none can stall a process. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import type { Violations } from './errors.ts';
import type { JsonObject } from './json.ts';
import { MAX_JSON_SCHEMA_INSTRUCTIONS } from './limits.ts';

/** Compiles the patterns of one schema, up to a number of instructions in all. */
function patternCompiler(): { (pattern: string): RE2JS; code: string } {
  let instructions = 0;
  const compile = (pattern: string): RE2JS => {
    const expression = RE2JS.compile(RE2JS.translateRegExp(pattern));
    instructions += expression.programSize();
    if (instructions <= MAX_JSON_SCHEMA_INSTRUCTIONS) return expression;
    throw new RangeError(`its patterns compile to more than ${MAX_JSON_SCHEMA_INSTRUCTIONS} instructions; repeat less`);
  };
  return Object.assign(compile, { code: 're2js' });
}

const OPTIONS = { strict: false, validateFormats: false, logger: false } as const;

/** Knows the meta-schema, which is dear to compile, and nothing else: validating does not add to it. */
const metaSchema = new Ajv2020(OPTIONS);

/** Why the schema is none, or undefined. Keeps nothing of it. */
function defect(schema: JsonObject): string | undefined {
  try {
    if (metaSchema.validateSchema(schema) !== true) {
      return metaSchema.errorsText(metaSchema.errors, { dataVar: 'json_schema' });
    }
    // Inlining would multiply a schema that refers to one large definition many times.
    const code = { regExp: patternCompiler() };
    new Ajv2020({ ...OPTIONS, validateSchema: false, inlineRefs: false, code }).compile(schema);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Checks that a schema is valid under the 2020-12 meta-schema, every reference within itself, every pattern RE2.
 * @param schema JSON that boundedJson has passed
 */
export function checkJsonSchema(violations: Violations, field: string, schema: JsonObject): void {
  const problem = defect(schema);
  if (problem === undefined) return;
  violations.add(field, 'DOES_NOT_COMPILE', `does not compile as JSON Schema 2020-12: ${problem}`);
}
