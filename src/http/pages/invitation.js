"use strict";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = chosen();
  const told = password !== null && (await ask("api/v1/invitations/accept", { token: token(), password }));
  if (told) {
    done(`The password is set. Your login name is ${told.login}.`);
  }
});
