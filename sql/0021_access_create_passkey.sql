-- Passkeys (WebAuthn), with which people log in without a password.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE TABLE access.passkey (
    id            uuid PRIMARY KEY,
    account_id    uuid NOT NULL REFERENCES access.account (id) ON DELETE CASCADE,
    name          text NOT NULL,
    -- By which the browser names it; at most 1,023 bytes.
    credential_id bytea NOT NULL UNIQUE,
    -- In the format of COSE (RFC 9053).
    public_key    bytea NOT NULL,
    -- How often it was used, as its device counts; 0 if the device does not.
    sign_count    bigint NOT NULL,
    -- How the browser reaches its device, such as usb or internal: a hint.
    transports    text[] NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT tocsin.now(),
    last_used_at  timestamptz
);
CREATE INDEX passkey_account_id_created_at_id_idx ON access.passkey (account_id, created_at DESC, id DESC);

-- What a browser has been asked to sign. Each is used once.
CREATE TABLE access.challenge (
    -- The SHA-256 of a secret that only the browser has, in a cookie.
    challenge  bytea PRIMARY KEY,
    -- Whose passkey is added; null if somebody logs in, as it is not known who.
    account_id uuid REFERENCES access.account (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX challenge_account_id_idx ON access.challenge (account_id);
CREATE INDEX challenge_expires_at_idx ON access.challenge (expires_at);
