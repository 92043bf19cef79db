// Sends HTTP requests from where it runs. Standard input: a JSON list of { method, path, type, body }; standard output: a
// JSON list of { status, body }. The first argument is the server.
import { text } from 'node:stream/consumers';

const answers = [];
for (const { method, path, type, body } of JSON.parse(await text(process.stdin))) {
  const response = await fetch(process.argv[2] + path, {
    method,
    headers: { 'content-type': type ?? 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  answers.push({ status: response.status, body: await response.json().catch(() => undefined) });
}
process.stdout.write(JSON.stringify(answers));
