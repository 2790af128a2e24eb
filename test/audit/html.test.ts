// The report in a real browser: who can read it, what it shows, what it never does, and how long 5,000 findings take.
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { sideBySide } from '../../src/audit/html/changes.ts'
import { toHtml } from '../../src/audit/html/index.ts'
import { sectionsOf } from '../../src/audit/html/markdown.ts'
import { html } from '../../src/audit/html/markup.ts'
import { linksOf } from '../../src/audit/html/picture.ts'
import type { AuditReport } from '../../src/audit/report.ts'
import { pageOf } from '../../src/cli/pages.ts'
import { browserOrSkip } from '../browser/index.ts'
import { sidestep } from '../cli/memory.ts'
import { madeUpReport, reportOf } from './reports.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const desktop = { viewport: { width: 1280, height: 900 } }
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }

// Without a browser ------------------------------------------------------------------------------------------------

t.test('what is put into markup is text', async t => {
  t.equal(
    `${html`<p title="${'"><script>'}">${"</p><img onerror='x'>"}${html`<b>&amp;</b>`}${['a', '<']}${undefined}</p>`}`,
    '<p title="&quot;&gt;&lt;script&gt;">&lt;/p&gt;&lt;img onerror=&#39;x&#39;&gt;<b>&amp;</b>a&lt;</p>',
  )
  t.equal(
    `${html`${'user\u202egnp.exe\u0000'}`}`,
    'user\\u202egnp.exe\\u0000',
    'what cannot be seen is shown by number',
  )
})

t.test('equal lines stand beside each other', async t => {
  const { left, right, added, removed } = sideBySide('a\nb\nc', 'a\nx\ny\nc\n')
  t.equal(left.join(''), '<span>a\n</span><del>b\n</del><span class="gap">\n</span><span>c\n</span>')
  t.equal(right.join(''), '<span>a\n</span><ins>x\ny\n</ins><span>c\n</span>')
  t.strictSame([added, removed], [2, 1])
})

t.test('rules are linked to their likes', async t => {
  const rule = (match: string, to: string) => ({ object: '', match, to })
  const host = {
    host: 'h',
    before: [rule('/a/ (prefix)', 'a:1; path becomes /'), rule('/b (exact)', 'b:1'), rule('/c (exact)', 'c:1')],
    after: [rule('/b (exact)', 'other:1'), rule('/a (prefix)', 'a:1'), rule('/d (exact)', 'd:1')],
  }
  t.strictSame(linksOf(host), [
    { before: 0, after: 1, fate: 'altered' },
    { before: 1, after: 0, fate: 'elsewhere' },
    { before: 2, fate: 'gone' },
    { after: 2, fate: 'new' },
  ])
})

t.test('a page is read by its sections', async t => {
  const [opening, written] = sectionsOf(
    '# X\nSeverity: note.\n\nSays `<b>`, [so](https://a.b/c) [here](X.md).\n\n## What\n```yaml\na: <1>\n```\n- one\n- two\n',
  )
  t.equal(
    `${opening?.body}`.trim(),
    '<p>Says <code>&lt;b&gt;</code>, <a href="https://a.b/c" rel="noreferrer">so</a> here.</p>',
  )
  t.equal(written?.heading, 'What')
  t.match(`${written?.body}`, /<pre tabindex="0">a: &lt;1&gt;\n<\/pre>\s*<ul><li>one<\/li><li>two<\/li><\/ul>/)
})

t.test('the command prints it', async t => {
  const { code, stdout } = await sidestep(['audit', '-f', 'examples/kubeflow', '--profile', 'kubeflow', '-o', 'html'])
  t.equal(code, 0)
  t.match(stdout, /^<!doctype html>\n<html lang="en">/)
  t.match(stdout, /team-a\//)
})

// In a browser -----------------------------------------------------------------------------------------------------

t.test('in a browser', async t => {
  const browser = await browserOrSkip(t)
  if (!browser) return
  const small = await fileOf(madeUpReport())
  const strange = await fileOf(strangeReport())
  const large = await fileOf(madeUpReport({ namespaces: 400, findings: 5000 }))

  for (const [name, options] of [
    ['light', desktop],
    ['dark', { ...desktop, colorScheme: 'dark' }],
    ['on a phone', phone],
    ['on a phone in the dark', { ...phone, colorScheme: 'dark' }],
  ] as const)
    t.test(`no barrier that axe finds, ${name}`, async t => {
      const page = await opened(browser, t, small, options)
      t.strictSame(await barriersOf(page), [], 'as it opens')
      await page.evaluate(() => {
        for (const details of document.querySelectorAll('details')) details.open = true
      })
      t.strictSame(await barriersOf(page), [], 'with everything open')
      const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
      t.equal(width, visible, 'nothing is wider than the screen')
    })

  t.test('the theme follows the system until somebody chooses', async t => {
    const page = await opened(browser, t, small, { ...desktop, colorScheme: 'dark' })
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const dark = await paper()
    await page.getByRole('button', { name: 'Light theme' }).click()
    t.not(await paper(), dark)
    await page.reload()
    t.ok(await page.getByRole('button', { name: 'Dark theme' }).isVisible(), 'the choice stays')
  })

  t.test('everything can be reached by keyboard', async t => {
    const page = await opened(browser, t, small)
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim().split('\n')[0])
    await page.keyboard.press('Tab')
    t.equal(await focused(), 'Skip to the report')
    await page.keyboard.press('Enter')
    t.equal(await page.evaluate(() => document.activeElement?.id), 'main')
    const outline = () => page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)
    await page.keyboard.press('Tab')
    t.equal(await outline(), 'solid', 'the focus can be seen')

    const names = await page.locator('#namespaces .card h3').allTextContents()
    await page.locator('#namespaces .card > summary').first().focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    t.equal(await focused(), names[2])
    await page.keyboard.press('ArrowUp')
    t.equal(await focused(), names[1])
    await page.keyboard.press('Enter')
    t.ok(
      await page
        .locator('#namespaces .card')
        .nth(1)
        .evaluate(card => (card as HTMLDetailsElement).open),
    )
    t.ok(await page.locator('#namespaces .card').nth(1).getByRole('heading', { name: 'Steps in order' }).isVisible())
    await page.keyboard.press('End')
    t.equal(await focused(), names.at(-1))

    await page.keyboard.press('/')
    t.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'q')
    await page.keyboard.type('a/b')
    t.equal(await page.inputValue('[name=q]'), 'a/b', 'where text is written a slash is a slash')
    await page.keyboard.press('Escape')
    t.equal(await page.inputValue('[name=q]'), '')
  })

  t.test('findings are filtered, and the address says how', async t => {
    const report = madeUpReport()
    const all = report.namespaces.flatMap(({ name, findings }) => findings.map(f => ({ ...f, place: name })))
    const page = await opened(browser, t, small)
    const status = page.locator('#shown')
    const rows = page.locator('.finding:visible')
    t.equal(await status.textContent(), `${all.length} findings`)

    const denials = all.filter(({ severity }) => severity === 'denial')
    await page.selectOption('[name=severity]', 'denial')
    t.equal(await status.textContent(), `${denials.length} of ${all.length} findings`)
    t.strictSame(
      new Set(
        await page.locator('.group[data-code]:visible').evaluateAll(all => all.map(each => each.dataset.severity)),
      ),
      new Set(['denial']),
    )
    const place = denials[0]?.place ?? ''
    await page.selectOption('[name=namespace]', place)
    const there = denials.filter(finding => finding.place === place)
    t.equal(await status.textContent(), `${there.length} of ${all.length} findings`)
    t.equal(await rows.count(), there.length)
    await page.fill('[name=q]', there[0]?.name.toUpperCase() ?? '')
    const named = there.filter(({ name }) => name.includes(there[0]?.name ?? ''))
    t.equal(await rows.count(), named.length)
    await page.waitForURL(/q=/)
    t.match(page.url(), /#q=.*&severity=denial&namespace=/)

    const again = await opened(browser, t, page.url())
    t.equal(await again.locator('.finding:visible').count(), named.length, 'who opens the address sees the same')
    t.equal(await again.inputValue('[name=severity]'), 'denial')

    await page.getByRole('button', { name: 'Clear' }).click()
    t.equal(await status.textContent(), `${all.length} findings`)
    const link = page.locator('.first a[href*="code="]').first()
    const code = (await link.textContent()) ?? ''
    await link.click()
    await page.waitForFunction(code => document.querySelector<HTMLSelectElement>('[name=code]')?.value === code, code)
    t.equal(await rows.count(), all.filter(finding => finding.code === code).length)
  })

  t.test('a finding says what happens in ambient, the way out, where it stands, and has its page', async t => {
    const page = await opened(browser, t, small)
    const group = page.locator('.group[data-code]').first()
    t.ok(await group.getByRole('heading', { name: 'What would happen in ambient' }).isVisible())
    t.ok(await group.getByRole('heading', { name: 'What to write instead' }).isVisible())
    t.match(await group.locator('.finding').first().locator('.where').textContent(), /^manifests\/.*\.yaml:\d+$/)
  })

  t.test('paper shows what the filter leaves, whole, and the screen is as it was', async t => {
    const page = await opened(browser, t, large)
    await page.fill('[name=q]', 'lab')
    const before = await page.locator('.finding:visible').count()
    const shown = Number((await page.locator('#shown').textContent())?.split(' ')[0]?.replace(',', ''))
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
    t.equal(await page.locator('#findings .groups > li:not([hidden]) .finding').count(), shown)
    await page.evaluate(() => dispatchEvent(new Event('afterprint')))
    t.equal(await page.locator('.finding:visible').count(), before)
  })

  t.test('without scripts it can be read', async t => {
    const page = await opened(browser, t, small, { ...desktop, javaScriptEnabled: false })
    t.ok(await page.locator('h1').isVisible())
    t.ok(await page.locator('.finding').first().isVisible())
    t.notOk(await page.locator('#filter').isVisible(), 'what cannot work is not shown')
  })

  t.test('what comes from a cluster is inert', async t => {
    const page = await opened(browser, t, strange)
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true
    })
    await page.fill('[name=q]', '<img')
    t.equal(await page.evaluate('globalThis.pwned'), undefined)
    t.equal(await page.locator('img, iframe, object, main script, main style, base, link').count(), 0)
    t.strictSame(await page.evaluate(() => document.querySelectorAll('script').length), 1)
    const handlers = await page.evaluate(() =>
      [...document.querySelectorAll('*')].flatMap(({ attributes }) =>
        [...attributes].map(({ name }) => name).filter(name => /^on|^style$|^srcdoc$/.test(name)),
      ),
    )
    t.strictSame(handlers, [])
    t.ok((await page.locator('body').textContent())?.includes(hostile), 'it is shown as it is')
  })

  t.test('the policy of the page runs no code but its own, should anything ever get through', async t => {
    const broken = (await readFile(new URL(small), 'utf8')).replace(
      '<main',
      `<script>globalThis.pwned = 1</script><img src="x" onerror="globalThis.pwned = 1">
       <style>h1 { display: none }</style><iframe src="https://example.com/"></iframe><main style="display: none"`,
    )
    const file = join(directory ?? '', 'broken.html')
    await writeFile(file, broken)
    const page = await browser.newPage()
    t.teardown(() => page.close())
    const answered: string[] = []
    page.on('requestfinished', request => answered.push(request.url()))
    await page.goto(pathToFileURL(file).href)
    t.strictSame(answered, [page.url()], 'it loads nothing')
    t.equal(await page.evaluate('globalThis.pwned'), undefined)
    t.ok(await page.locator('h1').isVisible())
    const refused = await page.evaluate(async () => {
      try {
        document.body.innerHTML = '<p>'
      } catch (error) {
        return String(error)
      }
      return ''
    })
    t.match(refused, /TrustedHTML/, 'no text becomes markup, not even in its own script')
  })

  t.test('5,000 findings: the first paint and a keystroke take less than a second', async t => {
    const empty = await fileOf(reportOf([]))
    const times = { empty: [] as number[], large: [] as number[], keystroke: [] as number[] }
    for (let round = 0; round < 5; round++) {
      times.empty.push(await firstPaint(await opened(browser, t, empty)))
      const page = await opened(browser, t, large)
      times.large.push(await firstPaint(page))
      for (const text of ['l', 'la', 'lab'])
        times.keystroke.push(
          await page.evaluate(async text => {
            const search = document.querySelector('input')
            if (!search) throw new Error('no search')
            const start = performance.now()
            search.value = text
            search.dispatchEvent(new Event('input', { bubbles: true }))
            await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))
            return performance.now() - start
          }, text),
        )
      await page.context().close()
    }
    const [emptyPaint, largePaint, keystroke] = [times.empty, times.large, times.keystroke].map(median) as [
      number,
      number,
      number,
    ]
    const told = `first paint ${largePaint.toFixed(0)} ms (of an empty report ${emptyPaint.toFixed(0)} ms), keystroke ${keystroke.toFixed(0)} ms`
    t.comment(told)
    process.stderr.write(`sidestep: 5,000 findings in a browser: ${told}\n`)
    // A loaded machine paints nothing in time; what it needs for an empty report is not the report's doing.
    t.ok(largePaint - emptyPaint < 1000, told)
    t.ok(keystroke < 1000 + emptyPaint, told)
  })
})

// Pages ------------------------------------------------------------------------------------------------------------

async function fileOf(report: AuditReport): Promise<string> {
  directory ??= await mkdtemp(join(tmpdir(), 'sidestep-html-'))
  const file = join(directory, `${files++}.html`)
  await writeFile(file, toHtml(report, pageOf))
  return pathToFileURL(file).href
}

let directory: string | undefined
let files = 0
t.teardown(() => directory && rm(directory, { recursive: true }))

/** A page that must ask for nothing but itself, and report no error. */
async function opened(browser: Browser, t: Test, url: string, options: BrowserContextOptions = desktop): Promise<Page> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.on('request', request => {
    const isItself = request.isNavigationRequest() && request.url().split('#')[0] === url.split('#')[0]
    if (!isItself) t.fail(`the page asks for ${request.url()}`)
  })
  page.on('pageerror', error => t.fail(error.message))
  await page.goto(url)
  return page
}

async function barriersOf(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
    'axe.run(document, { preload: false })',
  )
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)
}

async function firstPaint(page: Page): Promise<number> {
  const paint = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime
  await page.waitForFunction(paint)
  return (await page.evaluate(paint)) ?? Number.NaN
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

/** Every text of a report that may come from a cluster, at its worst. */
const hostile = `</script></style></template><img src=x onerror="globalThis.pwned=1"><svg onload='globalThis.pwned=1'>"'\`\${1}{{1}}]]>-->`

function strangeReport(): AuditReport {
  const report = madeUpReport({ namespaces: 3, findings: 6 })
  const isText = (key: string, value: unknown): value is string =>
    typeof value === 'string' && !['code', 'severity', 'verdict', 'now', 'then', 'role'].includes(key)
  const worst = JSON.stringify(report, (key, value) => (isText(key, value) ? `${value}${hostile}` : value))
  return { ...JSON.parse(worst), unread: [{ resource: hostile, reason: hostile }] }
}
