// The documentation does what it says: every command runs and prints what stands below it, every link leads somewhere, and
// every YAML parses. What needs a cluster is in e2e/docs.test.ts. CONTRIBUTING.md says how a block is marked.
import t from 'tap'
import { deadLinks, pagePaths, parsePage, readPage } from './docs/pages.ts'
import { matches, prepareTools, problemsOf, runPage } from './docs/sandbox.ts'
import { yamlOf } from './docs/yaml.ts'

const pages = new Map(pagePaths().map(path => [path, readPage(path)]))

t.test('every link leads somewhere', async t => {
  const links = [...pages.values()].reduce((sum, { links }) => sum + links.length, 0)
  t.ok(links > 500)
  for (const page of pages.values()) t.strictSame(deadLinks(page, pages), [], page.path)
})

t.test('every YAML parses, and settings are settings', async t => {
  const counts = { objects: 0, settings: 0, fragments: 0 }
  for (const page of pages.values()) {
    const { objects, settings, fragments, problems } = yamlOf(page)
    counts.objects += objects.length
    counts.settings += settings
    counts.fragments += fragments
    t.strictSame(problems, [], page.path)
  }
  t.comment(`${counts.objects} objects, ${counts.settings} settings, ${counts.fragments} parts of one`)
  t.ok(counts.objects > 10 && counts.settings > 10)
})

t.test('every command runs, and prints what the page says', async t => {
  const tools = await prepareTools()
  t.teardown(tools.remove)
  for (const [tool, reason] of tools.missing) if (process.env.CI) t.fail(`${tool}: ${reason}`)
  let ran = 0
  const skipped: { where: string; reason: string }[] = []
  const waiting = [...pages.values()].filter(({ blocks }) => blocks.some(({ language }) => language === 'sh'))
  const work = async () => {
    for (let page = waiting.shift(); page; page = waiting.shift()) {
      const report = await runPage(page, tools)
      ran += report.ran
      skipped.push(...report.skipped)
      t.strictSame(report.problems, [], page.path)
    }
  }
  await Promise.all([work(), work()])
  for (const { where, reason } of skipped) t.comment(`${where} is skipped: ${reason}`)
  t.comment(`${ran} blocks of commands have run, ${skipped.length} are skipped`)
  t.ok(ran > 5)
})

// That it would be noticed ------------------------------------------------------------------------------------------

t.test('a broken link is noticed', async t => {
  const text = `# A page
## What *it* does, and \`how\`
[1](docs/install.md) [2](docs/nowhere.md) [3](#what-it-does-and-how) [4](#what-it-did) [5](docs/install.md#uninstall)
[6](docs/install.md#no-such) [7](http://example.com) [8](../outside.md) ![9](docs/no-picture.png)

| in a table |
| --- |
| [10](docs/nowhere.md) |

    [no link](in-code.md)
`
  const page = parsePage('page.md', text)
  t.strictSame(deadLinks(page, pages), [
    'page.md:3: docs/nowhere.md is not there',
    'page.md:3: #what-it-did has no such heading',
    'page.md:3: docs/install.md#no-such has no such heading',
    'page.md:3: http://example.com: https, or a file of ours',
    'page.md:3: ../outside.md is outside of the repository',
    'page.md:3: docs/no-picture.png is not there',
    'page.md:8: docs/nowhere.md is not there',
  ])
})

t.test('a command that fails and an output that is another are noticed', async t => {
  const [block = t.fail()] = parsePage(
    'page.md',
    '```sh\nsidestep explain\n```\n```text\none\n...\nthree ... five\n```\n',
  ).blocks
  if (typeof block === 'boolean') return
  const problems = (code: number, stdout: string) =>
    problemsOf(block, { code, stdout, stderr: '' }, 'page.md:1').map(text => text.split('\n')[0])
  t.strictSame(problems(0, 'one\ntwo\n2\nthree and 4 and five  \n'), [])
  t.strictSame(problems(1, 'one\nthree four five\n'), ['page.md:1 ends with 1 and not with 0:'])
  t.strictSame(problems(0, 'one\nthree four six\n'), ['page.md:1 prints other than the page says:'])
  t.strictSame(problems(0, 'zero\none\nthree four five\n'), ['page.md:1 prints other than the page says:'])
  t.notOk(matches('a.c\n', 'abc\n'), 'a point is a point')

  const codes = parsePage('page.md', '<!-- test: exit 1 -->\n```sh\nfalse\n```\n').blocks
  t.strictSame(
    codes.flatMap(each => problemsOf(each, { code: 1, stdout: '', stderr: '' }, 'page.md')),
    [],
  )
})

t.test('a broken command is noticed where it runs', async t => {
  const tools = { directory: '/nowhere', missing: new Map([['kubectl', 'there is none']]), remove: async () => {} }
  const page = parsePage(
    'page.md',
    `<!-- test: file kept.yaml -->
\`\`\`yaml
kept: true
\`\`\`
\`\`\`sh
cat kept.yaml | head -n 1 && test -d examples
\`\`\`
\`\`\`text
kept: true
\`\`\`
\`\`\`sh
sidestop audit
echo never
\`\`\`
\`\`\`sh
kubectl version
\`\`\`
<!-- test: cluster -->
\`\`\`sh
sidestep audit
\`\`\`
<!-- test: skip because it takes an hour -->
\`\`\`sh
sleep 3600
\`\`\`
`,
  )
  const { ran, skipped, problems } = await runPage(page, tools)
  t.equal(ran, 2)
  t.match(problems, [/^page.md:11 ends with 127 and not with 0:\n.*sidestop: command not found/])
  t.strictSame(
    skipped.map(({ reason }) => reason),
    ['there is none', 'it needs a cluster, which test/e2e/docs.test.ts has', 'it takes an hour'],
  )
})

t.test('a block without commands is noticed, and a comment that says nothing', async t => {
  for (const comment of ['skip', 'skip because', 'skip because no', 'cluster 3', 'exit', 'Cluster'])
    t.throws(() => parsePage('page.md', `<!-- test: ${comment} -->\n\`\`\`sh\ntrue\n\`\`\`\n`), comment)
  t.throws(() => parsePage('page.md', '<!-- test: cluster -->\nA sentence.\n'), 'a comment without a block')
  t.throws(() => parsePage('page.md', '<!-- test: output -->\n```yaml\na: b\n```\n'), 'an output of nothing')
})
