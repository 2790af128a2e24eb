// The script of the report: filter, walking with the keyboard, more of long lists, theme. It stands in the page as it is
// here, so no browser needs a build. It makes no markup from text, which the page's policy forbids too.
;(() => {
  const root = document.documentElement
  const system = matchMedia('(prefers-color-scheme: dark)')

  // Before anything is painted, so that nothing flashes. A page from a file may have no storage.
  const stored = (() => {
    try {
      return localStorage.getItem('sidestep-theme')
    } catch {
      return null
    }
  })()
  if (stored === 'dark' || stored === 'light') root.dataset.theme = stored
  root.classList.add('scripted')

  // Long lists --------------------------------------------------------------------------------------------------------

  /**
   * @typedef {object} List
   * @property {HTMLOListElement} element
   * @property {HTMLElement | null} more
   * @property {number} size
   * @property {HTMLElement[]} items all of them
   * @property {HTMLElement[]} visible what the filter leaves
   * @property {number} shown how many of these are in the page
   */

  /** @type {WeakMap<Element, List>} */
  const lists = new WeakMap()

  /** @param {HTMLOListElement} element */
  function listOf(element) {
    const known = lists.get(element)
    if (known) return known
    const next = element.nextElementSibling
    const template = next instanceof HTMLTemplateElement ? next : undefined
    const items = /** @type {HTMLElement[]} */ ([...element.children, ...(template?.content.children ?? [])])
    const more = template ? /** @type {HTMLElement} */ (template.nextElementSibling) : null
    const size = Number(element.dataset.size ?? items.length)
    const list = { element, more, size, items, visible: items, shown: Math.min(size, items.length) }
    lists.set(element, list)
    return list
  }

  /** @param {List} list @param {number} shown */
  function show(list, shown) {
    list.shown = Math.min(shown, list.visible.length)
    list.element.replaceChildren(...list.visible.slice(0, list.shown))
    if (!list.more) return
    const left = list.visible.length - list.shown
    list.more.hidden = left === 0
    const button = list.more.querySelector('button')
    if (button) button.textContent = `Show ${grouped(Math.min(left, 4 * list.size))} more of ${grouped(left)}`
  }

  /** @param {List} list */
  function showMore(list) {
    const before = list.shown
    show(list, before + 4 * list.size)
    return list.visible[before]
  }

  /** The same everywhere, as in what is not written here. @param {number} count */
  function grouped(count) {
    return count.toLocaleString('en')
  }

  /** @param {Element} element */
  function longListsIn(element) {
    return /** @type {NodeListOf<HTMLOListElement>} */ (element.querySelectorAll('ol.chunked'))
  }

  /** Brings what has this id into the page and opens what is around it. @param {string} id @param {Element} [within] */
  function found(id, within = document.body) {
    const here = document.getElementById(id)
    if (here) return here
    for (const element of longListsIn(within)) {
      const list = listOf(element)
      const index = list.items.findIndex(item => item.querySelector(`[id="${CSS.escape(id)}"]`))
      if (index < 0) continue
      show(list, Math.max(list.shown, index + 1))
      return document.getElementById(id)
    }
    return null
  }

  /** @param {string} id */
  function reveal(id) {
    const target = found(id)
    if (!target) return
    for (let at = /** @type {Element | null} */ (target); at; at = at.parentElement)
      if (at instanceof HTMLDetailsElement) at.open = true
    target.scrollIntoView()
    // Whoever is faster than this event has gone on already.
    if (target.contains(document.activeElement)) return
    const heading = target.querySelector('h2[tabindex], summary')
    const focused = target.matches('[tabindex]') ? target : heading
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true })
  }

  document.addEventListener('DOMContentLoaded', start)

  function start() {
    startTheme()
    startWalk()
    startFilter()
    document.addEventListener('click', ({ target }) => {
      const button = target instanceof Element ? target.closest('.more button') : null
      const element = button?.closest('.more')?.previousElementSibling?.previousElementSibling
      if (element instanceof HTMLOListElement) focusIn(showMore(listOf(element)))
    })
    startPrint()
  }

  /** @param {HTMLElement | undefined} item */
  function focusIn(item) {
    if (!item) return
    const summary = item.querySelector('summary')
    if (!summary) item.tabIndex = -1
    const focused = summary ?? item
    focused.focus()
  }

  // Theme -------------------------------------------------------------------------------------------------------------

  function startTheme() {
    const button = document.getElementById('theme')
    if (!button) return
    const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches)
    const label = () => {
      button.textContent = isDark() ? 'Light theme' : 'Dark theme'
    }
    button.hidden = false
    button.addEventListener('click', () => {
      root.dataset.theme = isDark() ? 'light' : 'dark'
      label()
      try {
        localStorage.setItem('sidestep-theme', root.dataset.theme)
      } catch {
        // It holds for this page then.
      }
    })
    system.addEventListener('change', label)
    label()
  }

  // Keyboard ----------------------------------------------------------------------------------------------------------

  function startWalk() {
    document.addEventListener('keydown', event => {
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement)) return
      const { target, key } = event
      if (key === '/' && !target.matches('input, select, textarea')) {
        const search = document.querySelector('input[type=search]')
        if (!(search instanceof HTMLInputElement)) return
        event.preventDefault()
        search.focus()
        search.select()
      }
      if (!target.matches('summary[data-walk]')) return
      const to = walked(target, key)
      if (!to) return
      event.preventDefault()
      to.focus()
    })
  }

  /** @param {HTMLElement} from @param {string} key @returns {HTMLElement | undefined} */
  function walked(from, key) {
    const element = from.closest('ol')
    if (!element) return undefined
    const stops = () =>
      /** @type {HTMLElement[]} */ ([...element.querySelectorAll(':scope > li:not([hidden]) > details > summary')])
    const all = stops()
    if (key === 'Home') return all[0]
    if (key === 'End') return all.at(-1)
    if (key === 'ArrowUp') return all[all.indexOf(from) - 1]
    if (key !== 'ArrowDown') return undefined
    const next = all.indexOf(from) + 1
    if (next === all.length && element.matches('.chunked')) showMore(listOf(element))
    return stops()[next]
  }

  // Filter ------------------------------------------------------------------------------------------------------------

  /** As many findings are shown without being asked for: more is a list to scroll by. */
  const openUpTo = 100

  function startFilter() {
    const form = document.getElementById('filter')
    const status = document.getElementById('shown')
    if (!(form instanceof HTMLFormElement) || !status) return startAnchors(() => false)

    const groups = [...document.querySelectorAll('.groups > li')].map(item => {
      const details = /** @type {HTMLDetailsElement} */ (item.querySelector('details'))
      const count = /** @type {HTMLElement} */ (details.querySelector('[data-count]'))
      const list = listOf(/** @type {HTMLOListElement} */ (details.querySelector(':scope > ol.chunked')))
      const { code = '', severity = '' } = details.dataset
      const common = `${code} ${severity} ${details.querySelector('.sentence')?.textContent ?? ''}`.toLowerCase()
      return { item: /** @type {HTMLElement} */ (item), details, count, list, code, severity, common }
    })
    const total = groups.reduce((sum, { list }) => sum + list.items.length, 0)
    const opened = groups.map(({ details }) => details.open)

    /** @type {WeakMap<Element, string>} */
    const texts = new WeakMap()
    /** @param {Element} row */
    const textOf = row => {
      const text = texts.get(row) ?? (row.textContent ?? '').toLowerCase()
      texts.set(row, text)
      return text
    }

    /** @param {string} name */
    const field = name => /** @type {HTMLInputElement | HTMLSelectElement} */ (form.elements.namedItem(name))
    const names = ['severity', 'namespace', 'code']

    /** What is asked for, and no more. */
    function asked() {
      const params = new URLSearchParams()
      const q = field('q').value.trim()
      if (q) params.set('q', q)
      for (const name of names) if (field(name).value !== '*') params.set(name, field(name).value)
      return params
    }

    function apply() {
      const params = asked()
      const words = (params.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean)
      const [severity, namespace, code] = names.map(name => params.get(name))
      const isFiltered = params.size > 0
      let shown = 0
      let matched = 0
      for (const [index, group] of groups.entries()) {
        const { item, details, count, list } = group
        const isAsked = (severity === null || severity === group.severity) && (code === null || code === group.code)
        const wanted = words.filter(word => !group.common.includes(word))
        list.visible = !isAsked
          ? []
          : namespace === null && wanted.length === 0
            ? list.items
            : list.items.filter(
                row =>
                  (namespace === null || row.dataset.namespace === namespace) &&
                  wanted.every(word => textOf(row).includes(word)),
              )
        item.hidden = list.visible.length === 0
        matched += list.visible.length
        details.open = isFiltered
          ? !item.hidden && (shown === 0 || shown + list.visible.length <= openUpTo)
          : (opened[index] ?? false)
        if (details.open) shown += list.visible.length
        show(list, list.size)
        // In how many namespaces is said of all.
        const places = count.nextElementSibling
        if (places instanceof HTMLElement) places.hidden = list.visible.length < list.items.length
        count.textContent =
          list.visible.length === list.items.length
            ? grouped(list.items.length)
            : `${grouped(list.visible.length)} of ${grouped(list.items.length)}`
      }
      if (status)
        status.textContent = isFiltered
          ? `${grouped(matched)} of ${grouped(total)} findings`
          : `${grouped(total)} ${total === 1 ? 'finding' : 'findings'}`
      return params
    }

    /** Browsers bound how often the address may change. @type {ReturnType<typeof setTimeout> | undefined} */
    let writing
    const changed = () => {
      const params = apply()
      clearTimeout(writing)
      writing = setTimeout(() => {
        history.replaceState(null, '', params.size > 0 ? `#${params}` : location.pathname + location.search)
      }, 200)
    }
    form.addEventListener('input', changed)
    form.addEventListener('submit', event => event.preventDefault())
    form.querySelector('button')?.addEventListener('click', () => {
      form.reset()
      changed()
    })
    form.addEventListener('keydown', ({ key, target }) => {
      if (key !== 'Escape' || !(target instanceof HTMLInputElement)) return
      target.value = ''
      changed()
    })

    startAnchors(hash => {
      if (!hash.includes('=')) return false
      clearTimeout(writing)
      const params = new URLSearchParams(hash)
      field('q').value = params.get('q') ?? ''
      for (const name of names) {
        const value = params.get(name) ?? '*'
        field(name).value = value
        // What this report does not have finds nothing, rather than everything.
        if (field(name).value !== value) {
          field(name).append(new Option(value, value))
          field(name).value = value
        }
      }
      apply()
      reveal('findings')
      return true
    })
    return undefined
  }

  /** @param {(hash: string) => boolean} isFilter takes a hash that is a filter */
  function startAnchors(isFilter) {
    const go = () => {
      const hash = location.hash.slice(1)
      if (hash && !isFilter(hash)) reveal(hash)
    }
    addEventListener('hashchange', go)
    document.addEventListener('click', event => {
      const link = event.target instanceof Element ? event.target.closest('a') : null
      const href = link?.getAttribute('href') ?? ''
      if (!href.startsWith('#') || event.ctrlKey || event.metaKey) return
      if (href === location.hash) go()
      else if (!href.includes('=') && location.hash.includes('=')) {
        // The filter stays in the address.
        event.preventDefault()
        reveal(href.slice(1))
      }
    })
    go()
  }

  // Print -------------------------------------------------------------------------------------------------------------

  /** Paper cannot be opened: what the filter leaves is shown whole. YAML stays closed, or it would be a book. */
  function startPrint() {
    /** @type {(() => void)[]} */
    let undo = []
    addEventListener('beforeprint', () => {
      for (const element of longListsIn(document.body)) {
        const list = listOf(element)
        const { shown } = list
        show(list, list.visible.length)
        undo.push(() => show(list, shown))
      }
      for (const details of document.querySelectorAll('#namespaces details, #findings .group, #hosts .group'))
        if (details instanceof HTMLDetailsElement && !details.open) {
          details.open = true
          undo.push(() => {
            details.open = false
          })
        }
    })
    addEventListener('afterprint', () => {
      for (const step of undo) step()
      undo = []
    })
  }
})()
