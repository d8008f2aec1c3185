/** Checkpoints: the ends of the chains at one moment, as a file with an Ed25519 signature beside it. */
import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { access, constants, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AuditHeads, AuditHeadsSchema } from '../../gen/platen/v1/audit_service_pb.js';
import { FileError, UsageError } from './failure.ts';
import { readBytes } from './files.ts';

/** The environment variable with the private key. */
export const SIGNING_KEY_SETTING = 'PLATEN_AUDIT_SIGNING_KEY';

const FORMAT = 'platen-checkpoint-1';

interface Checkpoint {
  readonly batch: number;
  readonly batch_hash: string;
  readonly change_hash: string;
  readonly change_seq: number;
  readonly format: typeof FORMAT;
  /** When it was made; ISO 8601 in UTC. */
  readonly time: string;
}

/** Where the raw signature over a checkpoint's bytes is. */
export function signatureFile(path: string): string {
  return `${path}.sig`;
}

/** A checkpoint as RFC 8785 canonical JSON and a line feed. */
export function checkpointText({ changeSeq, changeHash, batch, batchHash }: AuditHeads, time: Date): string {
  // The order of these keys, and that they are ASCII and integers, makes it canonical.
  const checkpoint: Checkpoint = {
    batch: Number(batch),
    batch_hash: batchHash,
    change_hash: changeHash,
    change_seq: Number(changeSeq),
    format: FORMAT,
    time: time.toISOString(),
  };
  return `${JSON.stringify(checkpoint)}\n`;
}

/**
 * Reads a checkpoint whose signature is genuine.
 * @param keyFile a public key as PEM
 * @throws FileError if it is not, or a file is not what it should be
 */
export async function readCheckpoint(
  path: string,
  keyFile: string,
): Promise<MessageInitShape<typeof AuditHeadsSchema>> {
  const key = publicKey(keyFile, await readBytes(keyFile));
  const bytes = await readBytes(path);
  const signature = await readBytes(signatureFile(path));
  if (!verify(null, bytes, key, signature)) {
    throw new FileError([`${signatureFile(path)}: is no signature of ${path} by the key in ${keyFile}`]);
  }
  const checkpoint = attempt(() => JSON.parse(Buffer.from(bytes).toString()) as Checkpoint);
  if (checkpoint?.format !== FORMAT) throw new FileError([`${path}: is no checkpoint of the format ${FORMAT}`]);
  return {
    changeSeq: BigInt(checkpoint.change_seq),
    changeHash: checkpoint.change_hash,
    batch: BigInt(checkpoint.batch),
    batchHash: checkpoint.batch_hash,
  };
}

/**
 * The private key that signs.
 * @param setting PEM, or the path of a file with it
 * @throws UsageError if there is none or it is no Ed25519 key; never names what might be the key itself
 */
export async function signingKey(setting: string | undefined): Promise<KeyObject> {
  if (!setting) {
    throw new UsageError(`${SIGNING_KEY_SETTING} is not set: it is the Ed25519 private key, or a file with it, as PEM`);
  }
  const pem = setting.includes('-----BEGIN') ? setting : await keyText(setting);
  const key = attempt(() => createPrivateKey(pem));
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new UsageError(`${SIGNING_KEY_SETTING} is no Ed25519 private key as PEM (PKCS #8, not encrypted)`);
}

/**
 * Refuses where a checkpoint cannot be written or must not be: to be asked before the work that it would end.
 * @param force whether it may replace one
 * @throws FileError if the folder cannot be written, UsageError if something is there
 */
export async function refuseTarget(path: string, force: boolean): Promise<void> {
  await access(dirname(path), constants.W_OK).catch((error: unknown) => {
    throw unwritable(path, error);
  });
  if (force) return;
  for (const taken of [path, signatureFile(path)]) {
    if (await exists(taken)) throw new UsageError(`${taken} is there already; --force replaces it`);
  }
}

/**
 * Writes a checkpoint and its signature, each whole or not at all; at no time is there a checkpoint without its
 * signature.
 * @throws FileError
 */
export async function writeCheckpoint(path: string, text: string, key: KeyObject): Promise<void> {
  const bytes = Buffer.from(text);
  const [temporary, temporarySignature] = [`${path}.tmp`, `${signatureFile(path)}.tmp`];
  try {
    await writeFile(temporarySignature, sign(null, bytes, key), { flush: true });
    await writeFile(temporary, bytes, { flush: true });
    await rm(path, { force: true });
    await rename(temporarySignature, signatureFile(path));
    await rename(temporary, path);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function publicKey(path: string, pem: Uint8Array): KeyObject {
  const key = attempt(() => createPublicKey(Buffer.from(pem)));
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new FileError([`${path}: is no Ed25519 public key as PEM`]);
}

// What the parsers say of what they cannot read helps nobody here.
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

async function keyText(path: string): Promise<string> {
  try {
    return Buffer.from(await readBytes(path)).toString();
  } catch {
    throw new UsageError(`${SIGNING_KEY_SETTING} is neither a private key as PEM nor a file that can be read`);
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function unwritable(path: string, error: unknown): FileError {
  return new FileError([`${path}: cannot be written (${(error as NodeJS.ErrnoException).code})`]);
}
