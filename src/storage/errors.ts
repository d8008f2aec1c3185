import { DomainError, PreconditionFailed, Unavailable } from '../domain/errors.ts';

const RETRY_DELAY_MS = 1000;

/** SQLSTATEs of a database that cannot serve now (PostgreSQL, appendix A); a protocol violation is a defect of ours. */
const UNAVAILABLE_STATES = /^(?:08(?!P01)...|3D000|53...|57P0[1-5]|57014|55P03|25P0[234]|25006|40001|40P01)$/;

/** What the driver reports without a SQLSTATE: errors of the socket, the resolver and the pool. */
const UNAVAILABLE_ERRNOS = /^(?:ECONN.*|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$/;
const UNAVAILABLE_MESSAGES =
  /role "platen_server" does not exist|timeout exceeded when trying to connect|Connection terminated|is not queryable|after calling end on the pool/;

/** SQLSTATEs of data exceptions, violated constraints, and values beyond a limit of the database. */
const VALUE_STATES = /^(?:22|23|54)...$/;

/** What the driver says of a statement without an answer. */
const UNANSWERED = 'Query read timeout';

/** SQLSTATE that the append-only triggers raise. */
const APPEND_ONLY = 'PLT01';

/** Whether a statement got no answer in the driver's time for it, from a database that ends statements sooner. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof Error && error.message === UNANSWERED;
}

/**
 * Whether a session stands in a transaction that failed and was not ended: its rollback was interrupted, as by a
 * statement_timeout that passed while the whole server stood still.
 */
export function isInFailedTransaction(error: unknown): boolean {
  return driverCode(error) === '25P02';
}

/** Whether the database refuses the values of a statement: a repeat would be refused again, other values may not be. */
export function refusesValues(error: unknown): boolean {
  return VALUE_STATES.test(driverCode(error));
}

/** The SQLSTATE, or the code of the operating system, that an error of the driver carries; empty: none. */
export function driverCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * The domain error that an error of the driver stands for, with the driver's as its cause: Unavailable
 * DATABASE_UNAVAILABLE if the database cannot serve now, PreconditionFailed VERSION_IMMUTABLE if a trigger refused.
 * Every other error is returned as it is.
 */
export function domainError(error: unknown): unknown {
  if (error instanceof DomainError || !(error instanceof Error)) return error;
  const code = driverCode(error);
  if (code === APPEND_ONLY) {
    const refused = new PreconditionFailed('VERSION_IMMUTABLE', [
      { type: 'APPEND_ONLY', subject: 'database', description: 'what is published or recorded never changes' },
    ]);
    refused.cause = error;
    return refused;
  }
  const unavailable =
    UNAVAILABLE_STATES.test(code) ||
    UNAVAILABLE_ERRNOS.test(code) ||
    UNAVAILABLE_MESSAGES.test(error.message) ||
    isUnanswered(error);
  return unavailable ? databaseUnavailable(error) : error;
}

/** Unavailable DATABASE_UNAVAILABLE with the driver's error, whatever it is, as its cause. */
export function databaseUnavailable(cause: unknown): Unavailable {
  const message = 'the database cannot be reached or does not answer';
  return new Unavailable('DATABASE_UNAVAILABLE', message, RETRY_DELAY_MS, {}, { cause });
}
