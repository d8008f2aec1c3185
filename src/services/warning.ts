export type WarningCode =
  | 'TENANT_UNKNOWN'
  | 'VARIABLE_UNDECLARED'
  | 'VARIABLE_UNUSED'
  | 'PLACEHOLDER_UNKNOWN'
  | 'FALLBACK_USED'
  | 'RECEIPT_NOT_RECORDED'
  | 'POINTERS_UNVERIFIED'
  | 'SECTION_EMPTY'
  | 'INSTRUCTION_REPEATED'
  | 'TOKEN_BUDGET_EXCEEDED'
  | 'TYPE_MISSING'
  | 'TOKENS_NOT_COUNTED';

/** A condition that the caller should know of, though the call succeeded. */
export interface Warning {
  readonly code: WarningCode;
  /** What it is about: a tenant, a variable, a section, a sentence. */
  readonly subject: string;
  /** For people, in English. */
  readonly message: string;
}
