import { describe, expect, it } from 'vitest';
import { parseTemplate } from '../../../calictl/go-template-parser.ts';

const field = (...path: string[]) => ({ type: 'field', isRoot: false, path });
const value = (...words: object[]) => ({ type: 'value', pipeline: [words] });
const text = (content: string) => ({ type: 'text', text: content });

describe('a parsed template', () => {
  it.each([
    ['', []],
    ['a {{.b}} c', [text('a '), value(field('b')), text(' c')]],
    ['{{"}}"}}', [value({ type: 'literal', value: '}}' })]],
    ['{{`a\\n"`}}', [value({ type: 'literal', value: 'a\\n"' })]],
    ['{{-5}}{{1.5}}', [value({ type: 'literal', value: -5 }), value({ type: 'literal', value: 1.5 })]],
    ['{{$}}', [value({ type: 'field', isRoot: true, path: [] })]],
    ['{{$.a.b}}', [value({ type: 'field', isRoot: true, path: ['a', 'b'] })]],
    ['{{.}}', [value(field())]],
    ['{{/* {{.a}} */}}b', [text('b')]],
  ])('of %j has these nodes', (template, nodes) => {
    expect(parseTemplate(template)).toEqual(nodes);
  });

  it('has a pipeline of commands, and parentheses group one with fields behind it', () => {
    expect(parseTemplate('{{(index .a 0).b.c | len}}')).toEqual([
      {
        type: 'value',
        pipeline: [
          [
            {
              type: 'group',
              pipeline: [[{ type: 'name', name: 'index' }, field('a'), { type: 'literal', value: 0 }]],
              path: ['b', 'c'],
            },
          ],
          [{ type: 'name', name: 'len' }],
        ],
      },
    ]);
  });

  it('nests else if as a block in the else of the first', () => {
    const [outer] = parseTemplate('{{if .a}}1{{else if .b}}2{{else}}3{{end}}');
    expect(outer).toMatchObject({
      type: 'if',
      body: [text('1')],
      otherwise: [{ type: 'if', body: [text('2')], otherwise: [text('3')] }],
    });
  });

  it('has no white space where a hyphen borders the action, and keeps it where a hyphen belongs to a number', () => {
    expect(parseTemplate('a \n{{- .b -}}\n c')).toEqual([text('a'), value(field('b')), text('c')]);
    expect(parseTemplate('a {{-5}} c')).toEqual([
      text('a '),
      value({ type: 'literal', value: -5 }),
      text(' c'),
    ]);
  });
});

describe('a template that Go refuses', () => {
  it.each([
    ['{{if .a}}x{{end .b}}', 'end takes no argument'],
    ['{{if .a}}x{{else .b}}y{{end}}', 'else takes no argument'],
    ['{{if .a}}x{{else}}y{{else}}z{{end}}', '{{else}} has no {{end}}'],
    ['{{else}}', '{{else}} without a block'],
    ['{{if}}x{{end}}', 'an action is empty'],
    ['{{if .a}}x{{else if}}y{{end}}', 'an action is empty'],
    ['{{.a', 'unclosed action: {{.a'],
    ['{{(.a}}', 'cannot be read'],
    ['{{.a)}}', 'cannot be read'],
    ['{{"\\x"}}', 'cannot be read'],
    ['{{.a-b}}', 'cannot be read'],
    ['{{/* a */ .b}}', 'cannot be read'],
    ['{{(.a)) .b}}', 'cannot be read'],
    ['{{define "x"}}{{end}}', '{{end}} without a block'],
  ])('%s is refused', (template, sentence) => {
    expect(() => parseTemplate(template)).toThrow(sentence);
  });
});
