/** LIQUID templates as trees, and as a person writes them. */

/** Whether white space is stripped before and behind a tag or an output. */
export interface Strip {
  readonly before: boolean;
  readonly behind: boolean;
}

export interface Path {
  readonly root: string;
  readonly members: readonly (string | number | Path)[];
}

export type Literal = string | number | boolean | null;

export type Operand = { readonly literal: Literal } | Path;

export interface Filter {
  readonly name: string;
  readonly args: readonly Operand[];
}

export interface Expression {
  readonly operand: Operand;
  readonly filters: readonly Filter[];
}

export type Comparison = '==' | '!=' | '<' | '>' | '<=' | '>=' | 'contains';

/** A condition, or several: what stands behind `and` or `or` belongs together. */
export interface Condition {
  readonly not: boolean;
  readonly left: Operand;
  readonly than?: { readonly comparison: Comparison; readonly right: Operand };
  readonly more?: { readonly logic: 'and' | 'or'; readonly condition: Condition };
}

export interface Range {
  readonly from: Operand;
  readonly to: Operand;
}

export interface Arm {
  readonly strip: Strip;
  readonly body: readonly Node[];
}

export interface IfNode {
  readonly kind: 'if' | 'unless';
  /** The first is the opening tag, the others are `elsif`. */
  readonly arms: readonly (Arm & { readonly condition: Condition })[];
  readonly otherwise?: Arm;
  readonly close: Strip;
}

export interface CaseNode {
  readonly kind: 'case';
  readonly open: Strip;
  readonly of: Operand;
  readonly arms: readonly (Arm & { readonly values: readonly Literal[] })[];
  readonly otherwise?: Arm;
  readonly close: Strip;
}

export interface ForNode {
  readonly kind: 'for';
  readonly variable: string;
  readonly items: Operand | Range;
  readonly offset?: number;
  readonly limit?: number;
  readonly reversed: boolean;
  readonly arm: Arm;
  readonly otherwise?: Arm;
  readonly close: Strip;
}

export interface CaptureNode {
  readonly kind: 'capture';
  readonly name: string;
  readonly arm: Arm;
  readonly close: Strip;
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly strip: Strip; readonly value: Expression }
  | { readonly kind: 'assign'; readonly strip: Strip; readonly name: string; readonly value: Expression }
  | { readonly kind: 'break' | 'continue'; readonly strip: Strip }
  | { readonly kind: 'remark' | 'raw' | 'comment'; readonly strip: Strip; readonly text: string }
  | IfNode
  | CaseNode
  | ForNode
  | CaptureNode;

/** Names as they stand behind a dot; others stand in brackets. */
const DOTTED = /^[a-z_][a-z0-9_]*$/;

function quoted(text: string): string {
  return text.includes('"') ? `'${text}'` : `"${text}"`;
}

function writtenLiteral(literal: Literal): string {
  if (literal === null) return 'nil';
  return typeof literal === 'string' ? quoted(literal) : String(literal);
}

function writtenPath({ root, members }: Path): string {
  const steps = members.map((member) => {
    if (typeof member === 'object') return `[${writtenPath(member)}]`;
    if (typeof member === 'number') return `[${member}]`;
    return DOTTED.test(member) ? `.${member}` : `[${quoted(member)}]`;
  });
  return root + steps.join('');
}

function writtenOperand(operand: Operand): string {
  return 'literal' in operand ? writtenLiteral(operand.literal) : writtenPath(operand);
}

function writtenExpression({ operand, filters }: Expression): string {
  const calls = filters.map(({ name, args }) => {
    return args.length === 0 ? ` | ${name}` : ` | ${name}: ${args.map(writtenOperand).join(', ')}`;
  });
  return writtenOperand(operand) + calls.join('');
}

function writtenCondition({ not, left, than, more }: Condition): string {
  const compared = than ? ` ${than.comparison} ${writtenOperand(than.right)}` : '';
  const rest = more ? ` ${more.logic} ${writtenCondition(more.condition)}` : '';
  return `${not ? 'not ' : ''}${writtenOperand(left)}${compared}${rest}`;
}

function tag({ before, behind }: Strip, source: string): string {
  return `{%${before ? '-' : ''} ${source} ${behind ? '-' : ''}%}`;
}

function writtenElse(arm: Arm | undefined): string {
  return arm ? tag(arm.strip, 'else') + written(arm.body) : '';
}

function writtenItems(items: Operand | Range): string {
  return 'from' in items ? `(${writtenOperand(items.from)}..${writtenOperand(items.to)})` : writtenOperand(items);
}

function writtenFor({ variable, items, offset, limit, reversed, arm, otherwise, close }: ForNode): string {
  const parameters = [
    offset === undefined ? '' : ` offset: ${offset}`,
    limit === undefined ? '' : ` limit: ${limit}`,
    reversed ? ' reversed' : '',
  ];
  const open = tag(arm.strip, `for ${variable} in ${writtenItems(items)}${parameters.join('')}`);
  return open + written(arm.body) + writtenElse(otherwise) + tag(close, 'endfor');
}

function writtenNode(node: Node): string {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'output': {
      const { before, behind } = node.strip;
      return `{{${before ? '-' : ''} ${writtenExpression(node.value)} ${behind ? '-' : ''}}}`;
    }
    case 'assign':
      return tag(node.strip, `assign ${node.name} = ${writtenExpression(node.value)}`);
    case 'break':
    case 'continue':
      return tag(node.strip, node.kind);
    case 'remark':
      return tag(node.strip, `# ${node.text}`);
    case 'raw':
    case 'comment': {
      const { before, behind } = node.strip;
      const open = tag({ before, behind: false }, node.kind);
      return open + node.text + tag({ before: false, behind }, `end${node.kind}`);
    }
    case 'if':
    case 'unless': {
      const arms = node.arms.map(({ strip, condition, body }, index) => {
        return tag(strip, `${index === 0 ? node.kind : 'elsif'} ${writtenCondition(condition)}`) + written(body);
      });
      return arms.join('') + writtenElse(node.otherwise) + tag(node.close, `end${node.kind}`);
    }
    case 'case': {
      const arms = node.arms.map(({ strip, values, body }) => {
        return tag(strip, `when ${values.map(writtenLiteral).join(', ')}`) + written(body);
      });
      const open = tag(node.open, `case ${writtenOperand(node.of)}`);
      return open + arms.join('') + writtenElse(node.otherwise) + tag(node.close, 'endcase');
    }
    case 'for':
      return writtenFor(node);
    case 'capture':
      return tag(node.arm.strip, `capture ${node.name}`) + written(node.arm.body) + tag(node.close, 'endcapture');
  }
}

/** The content that the tree stands for. */
export function written(nodes: readonly Node[]): string {
  return nodes.map(writtenNode).join('');
}
