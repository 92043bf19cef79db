import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderTemplate } from '../../../calictl/go-template.ts';
import { CodedError } from '../../../lib/errors.ts';

const node = (name: string, bgp?: object) => ({
  kind: 'Node',
  metadata: { name, labels: { b: '2', a: '1' } },
  spec: { ...(bgp ? { bgp } : {}), addresses: ['x', 'y'] },
});
const list = [
  { kind: 'NodeList', items: [node('n1', { ipv4Address: '10.0.0.1/24', asNumber: 5 }), node('n2')] },
];

describe('-o go-template', () => {
  it.each([
    ['{{range .}}{{range .Items}}{{.ObjectMeta.Name}}{{"\\n"}}{{end}}{{end}}', 'n1\nn2\n'],
    ['{{range .}}{{.Kind}}: {{len .Items}}{{end}}', 'NodeList: 2'],
    ['{{range (index . 0).Items}}{{if .Spec.BGP}}{{.Spec.BGP.ASNumber}}{{else}}-{{end}} {{end}}', '5 - '],
    [
      '{{range (index . 0).items}}{{with .spec.bgp}}{{.ipv4Address}}{{else}}none{{end}};{{end}}',
      '10.0.0.1/24;none;',
    ],
    ['{{with index . 0}}{{range .Items}}{{join .ObjectMeta.Labels ","}} {{end}}{{end}}', 'a=1,b=2 a=1,b=2 '],
    ['{{range (index . 0).Items}}{{join .Spec.Addresses "+"}}{{end}}', 'x+yx+y'],
    ['{{joinAndTruncate "abcdefghij" "," 6}}', 'abc...'],
    ['{{printf "%-4s|%3d|%q%%" "a" 7 "b"}}', 'a   |  7|"b"%'],
    ['a  {{- /* gone */ -}}  b {{"x" | printf "%s%s" "y"}}', 'ab yx'],
    ['{{if and (eq 1 1) (not (ne "a" `a`))}}yes{{else if true}}no{{end}}', 'yes'],
    ['{{if eq "a" "b" "a"}}one{{end}}{{if or .None false}}x{{else}}two{{end}}', 'onetwo'],
    ['{{range .None}}x{{else}}empty{{end}}', 'empty'],
    ['{{range (index . 0).Items}}{{(index $ 0).Kind}} {{end}}', 'NodeList NodeList '],
    ['no action', 'no action'],
    ['{{.constructor}}{{.__proto__}}', ''],
  ])('renders %s', (template, text) => {
    expect(renderTemplate(template, list)).toBe(text);
  });

  it.each([
    ['{{range .}}', /\{\{range \.\}\} has no \{\{end\}\}/],
    ['{{end}}', /\{\{end\}\} without a block/],
    ['{{.a', /unclosed action/],
    ['{{}}', /an action is empty/],
    ['{{frob 1}}', /function "frob" is not supported: use join/],
    ['{{$x := 1}}', /variables and definitions are not supported/],
    ['{{.a .b}}', /only a function takes arguments/],
    [`${'{{if true}}'.repeat(60)}${'{{end}}'.repeat(60)}`, /nested more than 50 deep/],
    [`{{${'('.repeat(60)}1${')'.repeat(60)}}}`, /nested more than 50 deep/],
  ])('refuses %s with a reason', (template, sentence) => {
    expect(() => renderTemplate(template, list)).toThrow(sentence);
  });

  it('renders any text or refuses it with a reason', () => {
    const piece = fc.constantFrom(
      '{{',
      '}}',
      '-',
      '"',
      '`',
      '(',
      ')',
      '|',
      '.a',
      '$',
      '\\',
      'range .',
      'end',
      'else',
      'if',
      ' ',
      '1',
      'len',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        try {
          renderTemplate(pieces.join(''), list);
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
