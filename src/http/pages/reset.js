"use strict";

const asked = document.getElementById("asked");

async function begin() {
  const told = await ask("api/v1/reset/view", { token: token() });
  if (!told) {
    return;
  }
  document.getElementById("login").textContent = told.login;
  if (told.question !== null) {
    document.getElementById("question").textContent = told.question;
    document.getElementById("answer").required = true;
    asked.hidden = false;
  }
  form.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = chosen();
  if (password === null) {
    return;
  }
  const body = { token: token(), password };
  if (!asked.hidden) {
    body.answer = document.getElementById("answer").value;
  }
  const told = await ask("api/v1/reset", body);
  if (told) {
    done(`The password of ${told.login} is set; its strength is ${told.strength} of 4. Give it to your phones.`);
  }
});

begin();
