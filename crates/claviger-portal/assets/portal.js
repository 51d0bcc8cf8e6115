// Spares the portal's pages their reloads. Every link and form here works without it: what a link leads to is shown in a
// dialog, what a form is answered with takes the place of what was there, and all words come from the pages.
'use strict';
(() => {
  const main = document.getElementById('content');
  const dialog = document.getElementById('dialog');
  if (!dialog || !dialog.showModal) return;
  const body = document.getElementById('dialog-body');
  const words = dialog.dataset;
  // The address of the page below the dialog.
  let page = location.href;
  // What the next change of the history shows, where it is known already.
  let known = null;
  // Which element led to a view, by the view's address.
  const led = new Map();
  let asked = null;

  const byId = (id) => (id ? document.getElementById(id) : null);
  const views = () => (history.state && history.state.views) || [];
  const bare = (url) => url.split('#')[0];
  const path = (url) => new URL(url, location).pathname;

  async function ask(url, options) {
    const answer = await fetch(url, { credentials: 'same-origin', ...options });
    const doc = new DOMParser().parseFromString(await answer.text(), 'text/html');
    return { status: answer.status, url: answer.url, doc };
  }

  // Says what happened, where a screen reader listens: outside of an open dialog it does not.
  let timer = 0;
  function hush() {
    document.querySelectorAll('.toast').forEach((said) => { said.textContent = ''; });
  }
  function toast(text, isWrong) {
    if (!text) return;
    const name = (dialog.open ? 'dialog-toast' : 'toast') + (isWrong ? '-error' : '');
    hush();
    byId(name).textContent = text;
    clearTimeout(timer);
    if (!isWrong) timer = setTimeout(hush, 10000);
  }

  // A page that says one thing, as one text.
  function saying(doc) {
    const parts = ['#title', '#saying'].map((part) => doc.querySelector(part)).filter(Boolean);
    return parts.map((part) => part.textContent.trim()).join(': ');
  }

  const isDirty = (field) =>
    field.type === 'checkbox' ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
  const typed = (region) =>
    [...region.querySelectorAll('input:not([type=hidden], [type=search])')].filter(isDirty);

  function enhance(region) {
    region.querySelectorAll('[data-reveal]').forEach((button) => { button.hidden = false; });
    region.querySelectorAll('[data-dialog]').forEach((link) => link.setAttribute('aria-haspopup', 'dialog'));
  }

  // An element by its id, or what is left of its provider's row.
  function near(id) {
    const row = id && byId('provider-' + id.split('-').slice(1).join('-'));
    return byId(id) || (row && row.querySelector('a'));
  }

  // Puts new content into a region. What was typed there stays, but in a form that is done with; so does the focus.
  function fill(region, nodes, done) {
    const kept = typed(region).filter((field) => !done || !done.contains(field));
    const focused = region.contains(document.activeElement) ? document.activeElement.id : '';
    const opened = region.querySelector('details[open]');
    region.replaceChildren(...nodes);
    for (const { id, value, checked } of kept) {
      const field = byId(id);
      // A key that was refused goes: nobody sees what is in its field, so that it could not be mended there.
      if (field && !field.matches('[name=secret][aria-invalid]')) Object.assign(field, { value, checked });
    }
    if (opened && kept.length && byId(opened.id)) byId(opened.id).open = true;
    enhance(region);
    if (!focused) return;
    const back = near(focused);
    if (back) back.focus();
    if (!back || document.activeElement !== back) (region.querySelector('[tabindex="-1"]') || main).focus();
  }

  // The parts of the page that change, from another copy of it.
  function swap(doc, done) {
    for (const region of main.querySelectorAll('[data-live]')) {
      const fresh = doc.getElementById(region.id);
      if (fresh) fill(region, fresh.childNodes, done);
    }
  }

  async function refresh() {
    if (asked) asked.abort();
    asked = new AbortController();
    try {
      const { status, doc } = await ask(page, { signal: asked.signal });
      if (status === 200) swap(doc);
      else toast(saying(doc), true);
    } catch (error) {
      if (error.name !== 'AbortError') toast(words.offline, true);
    }
  }

  function notice(doc) {
    const found = doc.getElementById('notice');
    if (found) found.remove();
    return found ? found.textContent : '';
  }

  function view(doc, done) {
    const title = doc.getElementById('title');
    if (title) title.id = 'dialog-title';
    fill(body, doc.getElementById('content').childNodes, done);
  }

  // Shows the view that the history says, or nothing but the page.
  async function settle() {
    const shown = views();
    const given = known;
    known = null;
    if (!shown.length) {
      if (bare(location.href) !== bare(page)) return location.reload();
      // The link to the content changes the address, too.
      if (!dialog.open) return undefined;
      dialog.close();
      body.replaceChildren();
      (near(led.get('page')) || main).focus();
      return given && toast(given.notice);
    }
    if (history.state.page !== page) return location.reload();
    const url = shown[shown.length - 1];
    const opens = !dialog.open;
    if (opens) {
      const waiting = document.createElement('p');
      waiting.className = 'quiet';
      waiting.textContent = words.loading;
      body.replaceChildren(waiting);
      dialog.showModal();
    }
    try {
      const doc = given ? given.doc : (await ask(url)).doc;
      if (views().at(-1) !== url) return undefined;
      view(doc);
    } catch {
      return toast(words.offline, true);
    }
    const back = byId(led.get(url));
    const first = body.querySelector('form input:not([type=hidden]), #delete-form a');
    const isForm = !body.querySelector('[data-live]') || byId('add')?.open;
    (back && body.contains(back) ? back : (isForm && first) || byId('dialog-title') || dialog).focus();
    return given && toast(given.notice);
  }

  function open(link) {
    const now = views();
    led.set(now.length ? now[now.length - 1] : 'page', link.id);
    hush();
    led.delete(link.href);
    history.pushState({ views: [...now, link.href], page }, '', link.href);
    settle();
  }

  const close = () => { if (views().length) history.go(-views().length); };

  // Says at a form why nothing came of it, and what leads on where the answer has that.
  function complain(form, text, onward) {
    const isVisible = form.querySelector('input:not([type=hidden])');
    if (!isVisible) return toast(text, true);
    form.querySelectorAll('.alert').forEach((old) => old.remove());
    const said = document.createElement('p');
    said.className = 'wrong alert';
    said.setAttribute('role', 'alert');
    said.tabIndex = -1;
    said.textContent = text;
    if (onward) said.append(' ', onward);
    form.prepend(said);
    return said.focus();
  }

  // After a change that was made: the form's place shows how things are now.
  function done(form, answer) {
    const text = notice(answer.doc);
    const shown = views();
    if (!shown.length) {
      if (path(answer.url) !== path(page)) return location.assign(answer.url);
      swap(answer.doc, form);
      return toast(text);
    }
    refresh();
    if (path(answer.url) === path(shown[shown.length - 1])) {
      view(answer.doc, form);
      return toast(text);
    }
    known = { doc: answer.doc, notice: text };
    return history.back();
  }

  // After a change of what is not there any more: the same, from anew.
  async function gone(answer) {
    const shown = views();
    await refresh();
    if (shown.length > 1) {
      addEventListener('popstate', () => toast(saying(answer.doc), true), { once: true });
      return history.back();
    }
    if (shown.length) {
      const again = await ask(shown[0]);
      if (again.status === 200) view(again.doc);
      else {
        addEventListener('popstate', () => toast(saying(answer.doc), true), { once: true });
        return history.back();
      }
    }
    return toast(saying(answer.doc), true);
  }

  async function send(form, button) {
    if (form.hasAttribute('aria-busy')) return;
    const fields = new URLSearchParams(new FormData(form, button));
    const label = button && button.dataset.busy && button.firstChild;
    const before = label && label.data;
    hush();
    if (byId('notice')) byId('notice').remove();
    form.setAttribute('aria-busy', 'true');
    if (label) label.data = button.dataset.busy;
    let answer;
    try {
      answer = await ask(form.action, { method: 'POST', body: fields });
    } catch {
      return complain(form, words.offline);
    } finally {
      form.removeAttribute('aria-busy');
      if (label) label.data = before;
    }
    const { status, doc } = answer;
    if (status === 200) return done(form, answer);
    if (status === 404) return gone(answer);
    if (status === 422) {
      if (dialog.contains(form)) view(doc);
      else if (form.closest('[data-live]')) swap(doc);
      else fill(main, doc.getElementById('content').childNodes);
      const region = dialog.open ? body : main;
      const first = '[data-post] input:not([type=hidden])';
      return (region.querySelector('[aria-invalid]') || region.querySelector(first) || main).focus();
    }
    // The session is over: the label stays, the key does not.
    if (status === 401) form.querySelectorAll('[name=secret]').forEach((field) => { field.value = ''; });
    const onward = doc.querySelector('main #return');
    if (onward) onward.className = '';
    return complain(form, saying(doc), onward);
  }

  function search(value) {
    const url = new URL(page);
    if (value.trim()) url.searchParams.set('search', value);
    else url.searchParams.delete('search');
    page = url.href;
    history.replaceState(null, '', page);
    return refresh();
  }

  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target.closest('a, button');
    if (!link) {
      if (event.target === dialog && !typed(body).length) close();
    } else if (link.matches('[data-dialog]')) {
      event.preventDefault();
      open(link);
    } else if (link.matches('[data-cancel]') && dialog.contains(link)) {
      event.preventDefault();
      history.back();
    } else if (link.matches('[data-clear]')) {
      event.preventDefault();
      const field = byId('search');
      field.value = '';
      field.focus();
      search('');
    } else if (link.matches('[data-reveal]')) {
      const field = byId(link.dataset.reveal);
      field.type = field.type === 'password' ? 'text' : 'password';
      [link.textContent, link.dataset.hide] = [link.dataset.hide, link.textContent];
    }
  });

  document.addEventListener('submit', (event) => {
    if (event.target.matches('[data-post]')) {
      event.preventDefault();
      send(event.target, event.submitter);
    } else if (event.target.id === 'search-form') {
      event.preventDefault();
      search(byId('search').value);
    }
  });

  let typing = 0;
  document.addEventListener('input', (event) => {
    hush();
    if (!event.target.matches('[data-search]')) return;
    clearTimeout(typing);
    typing = setTimeout(() => search(event.target.value), 150);
  });

  byId('dialog-close').addEventListener('click', close);
  // Escape goes one step back, as the browser's own button does.
  dialog.addEventListener('cancel', (event) => {
    if (event.target !== dialog) return;
    event.preventDefault();
    if (views().length) history.back();
  });
  dialog.addEventListener('close', close);
  addEventListener('popstate', settle);
  // Another tab may have changed what this one shows.
  addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && !dialog.open && !typed(main).length) refresh();
  });

  const here = new URL(page);
  here.searchParams.delete('done');
  here.searchParams.delete('key');
  page = here.href;
  history.replaceState(null, '', page);
  document.documentElement.classList.add('scripted');
  enhance(main);
})();
