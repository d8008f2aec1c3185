import type { CompiledBundle } from '../domain/assembly.ts';
import { constraintsJson } from '../domain/constraint.ts';
import { canonicalJson, type Document } from '../domain/document.ts';
import { NotFound, Violations } from '../domain/errors.ts';
import { MAX_ASKED_ID_CHARACTERS, MAX_OUTPUT_BYTES } from '../domain/limits.ts';
import type { OutputJudgement, OutputViolation } from '../domain/output-check.ts';
import { checkVersion } from '../domain/semver.ts';
import { checkLength } from '../domain/text.ts';
import type { OutputChecks, WorkCall } from './bounded-work.ts';
import { findExactVersion, loadedPointers, versionNotFound, type AskedVersion } from './exact-version.ts';
import type { CompiledBundles, PinnedVersions, Routes } from './render-ports.ts';

/** What a model answered to a prompt of an exact version. */
export interface OutputCheckInput extends AskedVersion {
  /** As the model gave it. */
  readonly output: string;
}

export interface OutputCheckResult {
  /** Whether no constraint of severity ERROR is breached. */
  readonly passed: boolean;
  /** By constraint and place; at most 100 of one constraint. */
  readonly violations: readonly OutputViolation[];
  /** All, those counted that the list leaves out. */
  readonly violationCount: number;
  /** Whose bundle has the version. */
  readonly tenant: string;
  readonly bundleHash: string;
  readonly constraintsHash: string;
}

const FREE: OutputJudgement = Object.freeze({ violations: [], total: 0, passed: true });

/** Judges outputs of models by the constraints of the version that made the prompt; leaves no trace. */
export class OutputCheckService {
  readonly #routes: Pick<Routes, 'loaded'>;
  readonly #bundles: CompiledBundles;
  readonly #versions: PinnedVersions;
  readonly #checks: OutputChecks;
  /** Measured: to write 256 KiB of constraints anew takes 10 ms. Each document is held as long as its bundle is. */
  readonly #documents = new WeakMap<CompiledBundle, Document>();

  constructor(parts: {
    routes: Pick<Routes, 'loaded'>;
    bundles: CompiledBundles;
    versions: PinnedVersions;
    checks: OutputChecks;
  }) {
    this.#routes = parts.routes;
    this.#bundles = parts.bundles;
    this.#versions = parts.versions;
    this.#checks = parts.checks;
  }

  /**
   * Finds the version as a render does; the database is not asked for what is held in memory.
   * @throws InvalidInput, NotFound, WorkTooLong, and Unavailable if the version is not held while the stores are away,
   * or if too much waits to be judged
   */
  async check(call: WorkCall, input: OutputCheckInput): Promise<OutputCheckResult> {
    checkInput(input);
    const map = loadedPointers(this.#routes);
    const found = await findExactVersion(map, this.#versions, input);
    if (found === undefined) {
      throw map.scope(input.tenant).known ? versionNotFound(input) : new NotFound('tenant', input.tenant);
    }
    const { tenant, bundleHash } = found;
    const bundle = await this.#bundles.get(bundleHash);
    const { passed, violations, total } = await this.#judge(call, bundle, input.output);
    const { constraintsHash } = bundle;
    return { passed, violations, violationCount: total, tenant, bundleHash, constraintsHash };
  }

  #judge(call: WorkCall, bundle: CompiledBundle, output: string): Promise<OutputJudgement> | OutputJudgement {
    if (bundle.snapshot.constraints.length === 0) return FREE;
    return this.#checks.judge(call, this.#constraintsOf(bundle), output);
  }

  #constraintsOf(bundle: CompiledBundle): Document {
    const held = this.#documents.get(bundle);
    if (held !== undefined) return held;
    const text = canonicalJson(constraintsJson(bundle.snapshot.constraints));
    const document = { hash: bundle.constraintsHash, text };
    this.#documents.set(bundle, document);
    return document;
  }
}

/** Of ids only the length is checked, as of a render: one that cannot exist is unknown. */
function checkInput({ tenant, bundleId, version, output }: OutputCheckInput): void {
  const violations = new Violations();
  checkLength(violations, 'tenant', tenant, MAX_ASKED_ID_CHARACTERS);
  if (bundleId === '') violations.add('bundle_id', 'REQUIRED', 'name the bundle');
  checkLength(violations, 'bundle_id', bundleId, MAX_ASKED_ID_CHARACTERS);
  checkVersion(violations, 'version', version);
  if (Buffer.byteLength(output) > MAX_OUTPUT_BYTES) {
    violations.add('output', 'TOO_LARGE', `at most ${MAX_OUTPUT_BYTES} bytes of UTF-8 are allowed`);
  }
  violations.throwIfAny();
}
