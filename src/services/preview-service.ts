import type { Message } from '../domain/assembly.ts';
import { NotFound, Unavailable, Violations, WorkTooLong } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { PreviewedPrompt } from '../domain/preview.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import type { RouteMap } from '../domain/route-map.ts';
import type { TokenEncoding } from '../domain/token-count.ts';
import { checkValues } from '../domain/variables.ts';
import type { DraftChecks, PreviewWork, WorkCall } from './bounded-work.ts';
import { PreviewSubjects, type PreviewSubject } from './preview-subject.ts';
import { checkInputs } from './render-input.ts';
import type { Pin, Stores } from './stores.ts';
import type { Warning } from './warning.ts';

export interface PreviewInput {
  readonly tenant: string;
  readonly subject: PreviewSubject | undefined;
  readonly variables: JsonObject;
  readonly placeholders: ReadonlyMap<string, readonly Message[]>;
  /** Stand in for the brand variables of the same name. */
  readonly tenantVariables: JsonObject;
  readonly tokenEncoding: TokenEncoding;
  /** Most tokens that the text should have; 0: any number. */
  readonly tokenBudget: number;
}

/** The tokens of a prompt, without what a chat format puts around messages. */
export interface TokenCounts {
  readonly encoding: TokenEncoding;
  readonly text: number;
  /** Of each message's content, in order. */
  readonly messages: readonly number[];
}

export interface PreviewResult extends Omit<PreviewedPrompt, 'warnings'> {
  readonly warnings: readonly Warning[];
  /** Undefined if they could not be counted in time, which a warning tells. */
  readonly tokens: TokenCounts | undefined;
  readonly pins: readonly Pin[];
}

/** Shows what a draft, a version or unsaved content would render to; leaves no trace (spec section 3). */
export class PreviewService {
  readonly #stores: Stores;
  readonly #routes: { readonly map: RouteMap };
  readonly #subjects: PreviewSubjects;
  readonly #work: PreviewWork;

  constructor(stores: Stores, routes: { readonly map: RouteMap }, drafts: DraftChecks, work: PreviewWork) {
    this.#stores = stores;
    this.#routes = routes;
    this.#subjects = new PreviewSubjects(stores, drafts);
    this.#work = work;
  }

  /**
   * Missing and ill-typed values are reported, not thrown.
   * @throws InvalidInput, NotFound, RenderedTooLarge, RenderTooCostly, WorkTooLong, Unavailable
   */
  async preview(call: WorkCall, input: PreviewInput): Promise<PreviewResult> {
    const violations = new Violations();
    checkPreviewInput(violations, input);
    const lineage = await this.#stores.tenants.lineage(input.tenant);
    if (lineage.length === 0) throw new NotFound('tenant', input.tenant);
    const subject = input.subject && (await this.#subjects.load(call, violations, lineage, input.subject));
    violations.throwIfAny();

    const { snapshot, pins, missingType } = subject!;
    const brand = { ...this.#routes.map.scope(input.tenant).variables, ...input.tenantVariables };
    const { variables, placeholders } = input;
    const prompt = await this.#work.render(call, snapshot, { brand, variables, placeholders });
    const tokens = await this.#countTokens(call, input.tokenEncoding, prompt);
    const warnings = [
      ...(missingType ? [typeMissing(missingType)] : []),
      ...prompt.warnings,
      ...(tokens ? overBudget(tokens, input.tokenBudget) : [tokensNotCounted(input.tokenEncoding)]),
    ];
    return { ...prompt, warnings, tokens, pins };
  }

  /** A preview without token counts is of use too: undefined if they take too long. */
  async #countTokens(
    call: WorkCall,
    encoding: TokenEncoding,
    { text, messages }: PreviewedPrompt,
  ): Promise<TokenCounts | undefined> {
    const texts = [text, ...messages.map(({ content }) => content)];
    try {
      const [ofText, ...ofMessages] = await this.#work.countTokens(call, encoding, texts);
      return { encoding, text: ofText!, messages: ofMessages };
    } catch (error) {
      if (error instanceof WorkTooLong) return undefined;
      if (error instanceof Unavailable && error.reason === 'OVERLOADED') return undefined;
      throw error;
    }
  }
}

function checkPreviewInput(violations: Violations, input: PreviewInput): void {
  if (input.subject === undefined) violations.add('subject', 'REQUIRED', 'name what to preview');
  checkInputs(violations, input.variables, input.placeholders);
  checkValues(violations, 'tenant_variables', input.tenantVariables);
  if (input.tokenBudget < 0) {
    violations.add('token_budget', 'OUT_OF_RANGE', 'it is a number of tokens, or 0 for any number');
  }
}

function typeMissing(type: PromptType): Warning {
  const message = `the bundle is of type ${type}, and neither its personality nor a section is a template of that type`;
  return { code: 'TYPE_MISSING', subject: type, message };
}

function overBudget({ encoding, text }: TokenCounts, budget: number): Warning[] {
  if (budget === 0 || text <= budget) return [];
  const message = `the text has ${text} tokens in ${encoding.toLowerCase()}, ${text - budget} more than the budget`;
  return [{ code: 'TOKEN_BUDGET_EXCEEDED', subject: String(text), message }];
}

function tokensNotCounted(encoding: TokenEncoding): Warning {
  const message = 'the tokens could not be counted in time; very long words take long';
  return { code: 'TOKENS_NOT_COUNTED', subject: encoding, message };
}
