/**
 * The bounds of the domain (spec section 3). A character is a Unicode code point after NFC; bytes are those of UTF-8,
 * and of JSON those of its canonical form.
 */

/** A hostile request may break the rules in millions of places; so many are named, the others are counted. */
export const MAX_VIOLATIONS = 500;

export const MAX_CONTENT_CHARACTERS = 10_000;
export const MAX_DESCRIPTION_CHARACTERS = 1_000;
export const MAX_VERSION_CHARACTERS = 64;
export const MAX_PATTERN_CHARACTERS = 1_000;
/** Of RE2: `.{1,1000}` takes 2,001. Repetitions of repetitions would otherwise take memory and time without measure. */
export const MAX_PATTERN_INSTRUCTIONS = 2_500;
/** The patterns of all variables of a template or bundle together: they are compiled where renders run. */
export const MAX_VARIABLE_PATTERN_INSTRUCTIONS = 5_000;
/**
 * Instructions of a variable's pattern times UTF-16 code units of its value, all variables of a render together: at
 * most 17 ns each, measured.
 */
export const MAX_PATTERN_STEPS = 1_000_000;

export const MAX_VARIABLES = 128;
/** Of the values of a tenant, of a request, of a template's or bundle's defaults, and of what they merge to. */
export const MAX_VARIABLES_BYTES = 256 * 1024;
/** Values of a request, those counted that nothing declares. */
export const MAX_SENT_VARIABLES = 10_000;
export const MAX_VARIABLE_LENGTH = 262_144;
export const MAX_ENUM_VALUES = 100;
export const MAX_ENUM_VALUE_CHARACTERS = 200;

/** Of the tree of tenants, the root included: every render walks from its tenant to the root. */
export const MAX_TENANT_LEVELS = 16;
/** That a tenant's receipts are kept: a century. */
export const MAX_RETENTION_DAYS = 36_500;

export const MAX_SECTIONS = 64;
export const MAX_MODEL_CONFIG_BYTES = 64 * 1024;

export const MAX_CONSTRAINTS = 100;
export const MAX_CONSTRAINT_NUMBER = 1_000_000;
export const MAX_PHRASES = 100;
export const MAX_PHRASE_CHARACTERS = 500;
export const MAX_JSON_SCHEMA_BYTES = 64 * 1024;
/** Objects, lists and booleans of a schema: ajv makes code of each. */
export const MAX_JSON_SCHEMA_PARTS = 2_000;
/** All patterns of a schema together. */
export const MAX_JSON_SCHEMA_INSTRUCTIONS = 25_000;
/** The rules of all constraints of a bundle together. */
export const MAX_CONSTRAINTS_BYTES = 256 * 1024;
/** What their patterns take to compile, as so many instructions: 5 µs each. */
export const MAX_CONSTRAINTS_WORK = 100_000;

/** Lists and objects inside one another, the outermost counted. */
export const MAX_JSON_LEVELS = 64;

export const MAX_RENDERED_BYTES = 1024 * 1024;

/** Tags and outputs of a LIQUID template, and of all LIQUID templates of a bundle. */
export const MAX_LIQUID_NODES = 2_000;
export const MAX_BUNDLE_LIQUID_NODES = 4_000;
/** UTF-16 code units of all tags and outputs of a bundle: they are parsed where renders run, about 0.2 µs each. */
export const MAX_BUNDLE_LIQUID_UNITS = 100_000;
/** LIQUID blocks inside one another. */
export const MAX_LIQUID_LEVELS = 16;
/** Of all LIQUID templates of a render together; docs/templates.md says what is counted. About 1 µs each. */
export const MAX_LIQUID_STEPS = 20_000;

/** What CheckOutput takes. */
export const MAX_OUTPUT_BYTES = 1024 * 1024;
/** Breaches of one constraint that are listed; the others are counted. */
export const MAX_OUTPUT_VIOLATIONS = 100;
export const MAX_OUTPUT_EXCERPT_CHARACTERS = 100;
/** Lists and objects inside one another in an output that a schema is checked against. */
export const MAX_OUTPUT_JSON_LEVELS = 500;

export const MAX_DISPLAY_NAME_CHARACTERS = 200;
export const MAX_REQUEST_ID_CHARACTERS = 128;
/** Ids that a render asks for: longer than any id is, and short enough for the indexes of its receipt. */
export const MAX_ASKED_ID_CHARACTERS = 128;
/** Of a caller that is looked for. */
export const MAX_CALLER_CHARACTERS = 256;
export const MAX_LABELS = 16;
export const MAX_LABEL_CHARACTERS = 128;
export const MAX_PLACEHOLDERS = 64;
/** Messages of all of a render's placeholders. */
export const MAX_MESSAGES = 10_000;
/** Contents of all messages of a render's placeholders. */
export const MAX_PLACEHOLDER_BYTES = 1024 * 1024;
