import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ReplayOutcome, ReplayOutcomeSchema } from '../../gen/platen/v1/audit_service_pb.js';
import type { Clients } from './client.ts';
import { enumName } from './enum-name.ts';
import { parseRenderFile, readSourceFile } from './files.ts';
import { loadExamples } from './load.ts';
import { fields, warningLines } from './output.ts';
import { fileRequest, provenance } from './render.ts';
import type { Output } from './terminal.ts';

/** Where the server of the demo listens, each as `host:port`. */
export interface Addresses {
  readonly grpcAddress: string;
  readonly httpAddress: string;
}

/**
 * Loads the examples, renders the first of `renders/`, prints the prompt, what identifies it and lines to go on with,
 * and replays the receipt.
 * @param examples the folder `examples/`
 * @throws Error if the replay does not match, and whatever a call throws
 */
export async function runDemo(clients: Clients, out: Output, examples: string, addresses: Addresses): Promise<void> {
  const counts = await loadExamples(clients, examples);
  const done = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  out.write(`Loaded ${examples}: ${done.join(', ')}.\n\n`);

  const path = await firstRender(examples);
  const response = await clients.renders.render(fileRequest(parseRenderFile(await readSourceFile(path))));
  out.write(`Prompt of ${path}:\n\n${RULE}\n${response.text}\n${RULE}\n\n`);

  const { outcome } = await clients.audit.replay({ renderId: response.renderId });
  const replay = enumName(ReplayOutcomeSchema, outcome);
  out.write(fields([...provenance(response), ['replay', replay]]) + warningLines(response.warnings));
  if (outcome !== ReplayOutcome.MATCH) {
    throw new Error(`the replay of receipt ${response.renderId} ended in ${replay}`);
  }

  const lines = [grpcurl(addresses.grpcAddress), curl(addresses.httpAddress)];
  out.write(`\nRender over gRPC, and over HTTP with JSON:\n\n${lines.join('\n')}\n`);
}

const RULE = '─'.repeat(80);

/** A request that needs nothing but what the brand itself says. */
const REQUEST = '{"tenant":"solea-travel","type":"PROMPT_TYPE_GREETING"}';

async function firstRender(examples: string): Promise<string> {
  const renders = join(examples, 'renders');
  const first = (await readdir(renders)).find((name) => name.startsWith('01-'));
  if (first === undefined) throw new Error(`${renders} holds no request 01-*.yaml`);
  return join(renders, first);
}

function grpcurl(address: string): string {
  return `  grpcurl -plaintext -d '${REQUEST}' ${address} platen.v1.RenderService/Render`;
}

function curl(address: string): string {
  const url = `http://${address}/platen.v1.RenderService/Render`;
  return `  curl -s -H 'content-type: application/json' -d '${REQUEST}' ${url}`;
}
