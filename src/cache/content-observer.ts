/** Where content is looked for, nearest first. */
export type ContentLevel = 'l1' | 'l2' | 'read_replica' | 'database';

export type ContentKind = 'document' | 'version';

/** Learns where published content is found; must not throw. */
export interface ContentObserver {
  hit(level: ContentLevel, kind: ContentKind): void;
  /** It was looked for in vain: it was not there, or could not be read. */
  miss(level: ContentLevel, kind: ContentKind): void;
  /** Redis held bytes that are not what their key says; what was looked for counts as missed, too. */
  corrupt(kind: ContentKind | 'pointer'): void;
}
