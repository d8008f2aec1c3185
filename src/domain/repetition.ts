/** Finds what a prompt tells a model twice. */

/** Shorter sentences are headings, labels and answers more often than instructions. */
const MIN_CHARACTERS = 20;
/** Without so many letters it is a ruler, the frame of a table or a list of numbers. */
const MIN_LETTERS = 10;

/** Where instructions end: at the end of a line, and behind the full stop of a sentence. */
const SENTENCE_END = /\n|(?<=[.!?])\s+|(?<=[。！？])/u;
/** Code is repetitive by nature. */
const FENCED_CODE = /^```[\s\S]*?^```/gm;
/** What people sent gives no instructions; a value cannot forge its delimiter. */
const UNTRUSTED_VALUE = /<untrusted name="[^"<>]*">[^<>]*<\/untrusted>/g;
/** Stands for an untrusted value. No text holds U+0000. */
const DATA = '\0';
const LIST_MARKER = /^(?:[-*+•>#]+|\d+[.)])$/;

/** The sentence as people read it: without a list's marker, each run of white space one space. */
function plain(sentence: string): string {
  const [first = '', ...rest] = sentence.split(/[\s\p{Cc}]+/u).filter((word) => word !== '');
  return LIST_MARKER.test(first) ? rest.join(' ') : [first, ...rest].join(' ');
}

function isInstruction(sentence: string): boolean {
  return sentence.length >= MIN_CHARACTERS && sentence.replace(/\P{L}+/gu, '').length >= MIN_LETTERS;
}

/**
 * The sentences and lines that a system message says more than once, in order of their first appearance. Case, white
 * space, list markers and the full stop make no difference. What is too short to be an instruction, code between
 * fences, and sentences around untrusted values are not looked at.
 */
export function repeatedInstructions(systemMessage: string): string[] {
  const prose = systemMessage.replace(FENCED_CODE, '\n').replace(UNTRUSTED_VALUE, DATA);
  const found = new Map<string, { readonly said: string; times: number }>();
  for (const sentence of prose.split(SENTENCE_END)) {
    const said = plain(sentence);
    if (sentence.includes(DATA) || !isInstruction(said)) continue;
    const key = said.toLowerCase().replace(/[.!?。！？]$/u, '');
    const held = found.get(key);
    if (held) held.times += 1;
    else found.set(key, { said, times: 1 });
  }
  return [...found.values()].filter(({ times }) => times > 1).map(({ said }) => said);
}
