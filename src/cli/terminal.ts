/** Where a command reads and writes; `process` is one. */
export interface Terminal {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the process ends with: unset or 0 is success. */
  exitCode?: number | string | null | undefined;
}

/** A stream that text is written to. */
export interface Output {
  write(text: string): unknown;
  /** Absent if writing cannot fail. */
  on?(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  /** Whether a person reads along. */
  readonly isTTY?: boolean;
}
