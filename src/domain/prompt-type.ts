/** The closed enumerations of the domain, by their short names (spec section 1). */

export const PROMPT_TYPES = [
  'SYSTEM_PROMPT',
  'GREETING',
  'FAREWELL',
  'REJECTION',
  'CLARIFICATION',
  'HANDOFF',
] as const;
export type PromptType = (typeof PROMPT_TYPES)[number];

export const ROLES = ['SYSTEM', 'USER', 'ASSISTANT', 'TOOL'] as const;
export type Role = (typeof ROLES)[number];

export const CAPTURE_POLICIES = ['FULL', 'VARIABLES', 'HASH_ONLY'] as const;
export type CapturePolicy = (typeof CAPTURE_POLICIES)[number];
