/**
 * The seq that a request names. Seqs count from 1 and stay exact as numbers; beyond that any number will do, since no
 * change has it.
 */
export function readSeq(seq: bigint): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number(seq), Number.MAX_SAFE_INTEGER));
}
