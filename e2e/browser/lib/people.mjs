// What people do on the pages in every story: sign up, log in, log out, add something to watch.

const PASSWORD = 'correct horse battery staple';

/** Signs up on the page and returns who that is; `org` is the slug in the address of their pages. */
export async function signUp(visitor, name) {
  const person = { email: `${name}@lab.test`, password: PASSWORD, organisation: `${name} post office` };
  const { page } = visitor;
  await visitor.open('/signup');
  await page.getByLabel('Email', { exact: true }).fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await page.getByLabel('Organisation', { exact: true }).fill(person.organisation);
  await visitor.leave(() => page.getByRole('main').getByRole('button', { name: /^(sign up|create)/i }).click());
  await page.waitForURL(/\/o\/[^/]+/);
  person.org = new URL(page.url()).pathname.split('/')[2];
  return person;
}

export async function logIn(visitor, { email, password }) {
  const { page } = visitor;
  await visitor.open('/login');
  await page.getByLabel('Email', { exact: true }).fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await visitor.leave(() => page.getByRole('main').getByRole('button', { name: 'Log in' }).click());
}

export async function logOut(visitor) {
  const { page } = visitor;
  await visitor.leave(() => page.getByRole('button', { name: 'Log out' }).click());
}
