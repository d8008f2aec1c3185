/** The two grammars of names: ids, and names of variables and placeholders. */
import type { Violations } from './errors.ts';

const ID_PATTERN = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

const NAME_PATTERN = /^[a-z_][a-z0-9_]{0,62}$/;

/** The grammar of names in words. */
export const NAME_RULE = '1 to 63 characters of a-z, 0-9 and _ that do not begin with a digit';

/** Checks the id of a tenant, template, bundle, channel or constraint. */
export function checkId(violations: Violations, field: string, value: string): void {
  if (value === '') {
    violations.add(field, 'REQUIRED', 'an id is required');
  } else if (!ID_PATTERN.test(value)) {
    violations.add(
      field,
      'BAD_FORMAT',
      "must be 1 to 63 characters of a-z, 0-9, '.', '_' and '-' that begin and end with a letter or digit",
    );
  }
}

/** Whether the value may name a variable or a placeholder. */
export function isName(value: string): boolean {
  return NAME_PATTERN.test(value);
}

/** Checks the name of a variable or placeholder. */
export function checkVariableName(violations: Violations, field: string, value: string): void {
  if (value === '') violations.add(field, 'REQUIRED', 'a name is required');
  else if (!isName(value)) violations.add(field, 'BAD_FORMAT', `must be ${NAME_RULE}`);
}
