// Uses a secret: each key of the function's secrets is a member of context.secrets.
module.exports = ({ secrets }) => {
    if (secrets.password === undefined)
        return { message: 'I know nothing' };
    return { message: `The password has ${secrets.password.length} characters` };
};
