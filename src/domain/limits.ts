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

export const MAX_VARIABLES = 128;
/** Of the values of a tenant, of a request, of a template's or bundle's defaults, and of what they merge to. */
export const MAX_VARIABLES_BYTES = 256 * 1024;
/** Values of a request, those counted that nothing declares. */
export const MAX_SENT_VARIABLES = 10_000;
export const MAX_VARIABLE_LENGTH = 262_144;
export const MAX_ENUM_VALUES = 100;
export const MAX_ENUM_VALUE_CHARACTERS = 200;

export const MAX_SECTIONS = 64;
export const MAX_MODEL_CONFIG_BYTES = 64 * 1024;

export const MAX_CONSTRAINTS = 100;
export const MAX_CONSTRAINT_NUMBER = 1_000_000;
export const MAX_PHRASES = 100;
export const MAX_PHRASE_CHARACTERS = 500;
export const MAX_JSON_SCHEMA_BYTES = 64 * 1024;
/** All patterns of a schema together. */
export const MAX_JSON_SCHEMA_INSTRUCTIONS = 25_000;
/** The rules of all constraints of a bundle together. */
export const MAX_CONSTRAINTS_BYTES = 256 * 1024;

/** Lists and objects inside one another, the outermost counted. */
export const MAX_JSON_LEVELS = 64;

export const MAX_RENDERED_BYTES = 1024 * 1024;

export const MAX_DISPLAY_NAME_CHARACTERS = 200;
export const MAX_REQUEST_ID_CHARACTERS = 128;
/** Ids that a render asks for: longer than any id is, and short enough for the indexes of its receipt. */
export const MAX_ASKED_ID_CHARACTERS = 128;
export const MAX_LABELS = 16;
export const MAX_LABEL_CHARACTERS = 128;
export const MAX_PLACEHOLDERS = 64;
/** Messages of all of a render's placeholders. */
export const MAX_MESSAGES = 10_000;
/** Contents of all messages of a render's placeholders. */
export const MAX_PLACEHOLDER_BYTES = 1024 * 1024;
