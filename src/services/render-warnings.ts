/** The warnings of a render. */
import type { Message } from '../domain/assembly.ts';
import type { Warning } from './warning.ts';

/** Most undeclared variables that are named one by one. */
const MOST_NAMED = 20;

/** Names the values and messages that were sent and that the prompt has no place for. */
export function warnAboutIgnored(
  warnings: Warning[],
  undeclared: readonly string[],
  sent: ReadonlyMap<string, readonly Message[]>,
  used: ReadonlyMap<string, readonly Message[]>,
): void {
  for (const name of undeclared.slice(0, MOST_NAMED)) {
    const message = `the prompt declares no variable ${name}; its value was ignored`;
    warnings.push({ code: 'VARIABLE_UNDECLARED', subject: name, message });
  }
  const unnamed = undeclared.length - MOST_NAMED;
  if (unnamed > 0) {
    const message = `the prompt does not declare ${unnamed} more of the variables; their values were ignored`;
    warnings.push({ code: 'VARIABLE_UNDECLARED', subject: '', message });
  }
  for (const [name, messages] of sent) {
    if (messages.length === 0 || used.has(name)) continue;
    const message = `the prompt has no placeholder ${name}; its messages were ignored`;
    warnings.push({ code: 'PLACEHOLDER_UNKNOWN', subject: name, message });
  }
}

export function tenantUnknown(tenant: string): Warning {
  return { code: 'TENANT_UNKNOWN', subject: tenant, message: `tenant ${tenant} does not exist` };
}

export function pointersUnverified(seq: number): Warning {
  const message = `the pointers are those of change ${seq} and could not be verified lately`;
  return { code: 'POINTERS_UNVERIFIED', subject: String(seq), message };
}

export function fallbackUsed(subject: string, answeredWith: 'text' | 'default'): Warning {
  const what = answeredWith === 'text' ? 'fallback_text' : 'the built-in default';
  return { code: 'FALLBACK_USED', subject, message: `nothing answers for ${subject}; ${what} was used` };
}

export function receiptNotRecorded(renderId: string): Warning {
  const message = 'the receipt of this render could not be recorded in time';
  return { code: 'RECEIPT_NOT_RECORDED', subject: renderId, message };
}
