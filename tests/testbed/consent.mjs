// node consent.mjs '{"browser":"/usr/bin/chromium","link":"http://…","user":"alice","stranger":"mallory","pictures":"/…"}'
//
// What people do with a consent link, in a real browser: where there is a stranger, he opens the link first, in a profile
// of his own. Then the user signs in, reads, goes on, agrees, in hers. Prints what each saw as JSON; `pictures` is a folder
// for what it looked like, if wanted. What a browser refuses (a form's redirect, a cookie) is in `refused`.
import { join } from 'node:path';
import { load } from './parts.mjs';

const { chromium } = (await load('playwright-core')).default;
const { browser: executablePath, link, user, stranger, pictures } = JSON.parse(process.argv[2]);
const quiet = ['no-sandbox', 'disable-gpu', 'disable-quic', 'no-first-run', 'disable-background-networking', 'disable-component-update', 'disable-sync'];
const browser = await chromium.launch({ executablePath, args: quiet.map((flag) => `--${flag}`) });
const refused = [];

/** A profile of one's own: no cookie of another's is in it. */
const profile = async () => {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('console', (said) => /Content Security Policy|cookie/i.test(said.text()) && refused.push(said.text()));
  return { context, page };
};

/** Signs in at the users' identity provider, which may ask whether the host may know who it is. */
const signIn = async (page, who, there) => {
  await page.goto(link);
  await page.locator(`button[name=login][value=${who}]`).click();
  const agree = page.getByRole('button', { name: 'Agree' });
  await agree.or(there).first().waitFor();
  if (await agree.count()) await agree.click();
  await there.waitFor();
};

const picture = (page, name) => pictures && page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });

try {
  const answer = {};
  if (stranger) {
    const { context, page } = await profile();
    const there = page.getByText('another user').first();
    await signIn(page, stranger, there);
    answer.stranger = await page.locator('main').innerText();
    answer.may_go_on = await page.locator('form[action^="/consent/"] button').count();
    await picture(page, 'stranger');
    await context.close();
  }
  const { context, page } = await profile();
  const go = page.locator('form[action^="/consent/"] button');
  await signIn(page, user, go);
  answer.question = await page.locator('main').innerText();
  answer.wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  await picture(page, 'question');
  const asked = page.url();
  await go.click();
  await page.locator(`button[name=login][value=${user}]`).click();
  await page.getByRole('button', { name: 'Agree' }).click();
  await page.waitForURL(asked);
  answer.answer = await page.locator('main').innerText();
  await picture(page, 'answer');
  const cookies = (await context.cookies(link)).filter(({ name }) => name.startsWith('__Host-'));
  console.log(JSON.stringify({ ...answer, refused, cookies: cookies.map(({ name }) => name) }));
} finally {
  await browser.close();
}
