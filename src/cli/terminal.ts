/** Where a command reads and writes; `process` is one. */
export interface Terminal {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the process ends with: unset or 0 is success. */
  exitCode?: number | string | null | undefined;
}

/** A stream that text is read from. */
export interface Input extends AsyncIterable<Uint8Array | string> {
  /** Whether a person writes it. */
  readonly isTTY?: boolean;
}

/** A stream that text is written to. */
export interface Output {
  /** @param done called once the text is written, or cannot be any more */
  write(text: string, done?: (error?: Error | null) => void): unknown;
  /** Absent if writing cannot fail. */
  on?(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  /** Whether a person reads along. */
  readonly isTTY?: boolean;
  /** How wide its screen is, if it has one. */
  readonly columns?: number | undefined;
}
