/** Pages of lists (AIP-158). */
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Violations } from '../domain/errors.ts';
import { PROMPT_TYPES } from '../domain/prompt-type.ts';
import { fingerprint } from './fingerprint.ts';
import type { Handler } from './method.ts';
import { reporting } from './reporting.ts';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1_000;

/** The key of a list's items, from which a page goes on. */
export interface PageKey<K> {
  /** Asks for the first page. */
  readonly start: K;
  /** Whether a token may hold it: tokens come from outside, and their keys go to the database. */
  accepts(key: unknown): key is K;
}

function keyOfPattern(pattern: RegExp): PageKey<string> {
  return { start: '', accepts: (key): key is string => typeof key === 'string' && pattern.test(key) };
}

/** Lists by id. */
export const BY_ID = keyOfPattern(/^[a-z0-9._-]{1,63}$/);

/** Lists by prompt type. */
export const BY_TYPE = keyOfPattern(new RegExp(`^(?:${PROMPT_TYPES.join('|')})$`));

/** Lists by render_id. */
export const BY_RENDER_ID = keyOfPattern(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

/** Lists by seq or position. */
export const BY_NUMBER: PageKey<number> = {
  start: 0,
  accepts: (key): key is number => Number.isSafeInteger(key) && (key as number) > 0,
};

/** Where a page begins, and how long it is. */
interface Page<K> {
  readonly after: K;
  /** From 1 to 1,000. */
  readonly size: number;
  /** What was asked for: the request's type, and its fingerprint without page_size and page_token. */
  readonly list: string;
}

/** What a handler does with the page: fetches it and answers with what the response message is made of. */
type UseCase<O extends DescMessage, K> = (page: Page<K>) => Promise<MessageInitShape<O>>;

/**
 * The handler of a list.
 * @param method the method that it handles
 * @param key the key of the list's items
 * @param plan reads the filters of the request, adds what is wrong with them, and gives the use case
 */
export function listing<I extends DescMessage, O extends DescMessage, K>(
  method: DescMethodUnary<I, O>,
  key: PageKey<K>,
  plan: (violations: Violations, request: MessageShape<I>) => UseCase<O, K>,
): Handler<DescMethodUnary<I, O>> {
  return async (_context, request) => {
    const violations = new Violations();
    const useCase = plan(violations, request);
    const page = readPage(violations, method.input, request as MessageShape<I> & PagedRequest, key);
    return reporting(violations, () => useCase(page));
  };
}

interface PagedRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/**
 * The page that a request asks for. Violations: a negative page_size, and a page_token that was not handed out for this
 * request. The page_size may change from page to page.
 */
export function readPage<D extends DescMessage, K>(
  violations: Violations,
  schema: D,
  request: MessageShape<D> & PagedRequest,
  key: PageKey<K>,
): Page<K> {
  const { pageSize, pageToken } = request;
  if (pageSize < 0) violations.add('page_size', 'OUT_OF_RANGE', `must not be negative; 0 means ${DEFAULT_PAGE_SIZE}`);
  const list = `${schema.typeName} ${fingerprint(schema, { ...request, pageSize: 0, pageToken: '' })}`;
  const after = pageToken === '' ? key.start : readToken(pageToken, list, key);
  if (after === undefined) {
    const description =
      'is not a token of this list: send the next_page_token of the page before, with the other fields unchanged';
    violations.add('page_token', 'BAD_FORMAT', description);
  }
  const size = pageSize > 0 ? Math.min(pageSize, MAX_PAGE_SIZE) : DEFAULT_PAGE_SIZE;
  return { after: after ?? key.start, size, list };
}

/**
 * Fetches a page, and one item more to know whether another page follows.
 * @returns the items, and the token of the next page; an empty one says that this was the last
 */
export async function fetchPage<T, K>(
  { after, size, list }: Page<K>,
  fetch: (after: K, limit: number) => Promise<T[]>,
  keyOf: (item: T) => K,
): Promise<{ items: T[]; nextPageToken: string }> {
  const items = await fetch(after, size + 1);
  if (items.length <= size) return { items, nextPageToken: '' };
  return { items: items.slice(0, size), nextPageToken: writeToken(keyOf(items[size - 1]!), list) };
}

function writeToken(after: unknown, list: string): string {
  return Buffer.from(JSON.stringify({ after, list })).toString('base64url');
}

function readToken<K>(token: string, list: string, key: PageKey<K>): K | undefined {
  try {
    const held = JSON.parse(Buffer.from(token, 'base64url').toString()) as { after: unknown; list: unknown };
    return held.list === list && key.accepts(held.after) ? held.after : undefined;
  } catch {
    return undefined;
  }
}
