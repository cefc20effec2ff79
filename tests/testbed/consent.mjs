// node consent.mjs '{"browser":"/usr/bin/chromium","link":"http://…","user":"alice"}'
//
// What a person does with a consent link, in a real browser: signs in, reads, goes on, agrees. Prints what the browser
// saw as JSON. What a browser refuses (a form's redirect, a cookie) is in `refused`.
import { load } from './parts.mjs';

const { chromium } = (await load('playwright-core')).default;
const { browser: executablePath, link, user } = JSON.parse(process.argv[2]);
const quiet = ['no-sandbox', 'disable-gpu', 'disable-quic', 'no-first-run', 'disable-background-networking', 'disable-component-update', 'disable-sync'];
const browser = await chromium.launch({ executablePath, args: quiet.map((flag) => `--${flag}`) });
try {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const refused = [];
  page.on('console', (said) => /Content Security Policy|cookie/i.test(said.text()) && refused.push(said.text()));

  await page.goto(link);
  await page.locator(`button[name=login][value=${user}]`).click();
  await page.getByRole('button', { name: 'Agree' }).or(page.locator('form[action^="/consent/"]')).first().waitFor();
  if (await page.getByRole('button', { name: 'Agree' }).count()) await page.getByRole('button', { name: 'Agree' }).click();
  const go = page.locator('form[action^="/consent/"] button');
  await go.waitFor();
  const question = await page.locator('main').innerText();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  const asked = page.url();
  await go.click();
  await page.locator(`button[name=login][value=${user}]`).click();
  await page.getByRole('button', { name: 'Agree' }).click();
  await page.waitForURL(asked);
  const cookies = (await context.cookies(link)).filter(({ name }) => name.startsWith('__Host-'));
  const answer = { question, wide, answer: await page.locator('main').innerText(), refused };
  console.log(JSON.stringify({ ...answer, cookies: cookies.map(({ name }) => name) }));
} finally {
  await browser.close();
}
