-- Log-in by the company's OpenID provider: whose account belongs to which of its people, and log-ins that have begun.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE TABLE access.external_identity (
    -- As the provider states them: unique and never reassigned, unlike an e-mail address.
    issuer     text NOT NULL,
    subject    text NOT NULL,
    account_id uuid NOT NULL REFERENCES access.account (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (issuer, subject)
);
-- One person of the provider for each account.
CREATE UNIQUE INDEX external_identity_account_id_issuer_key ON access.external_identity (account_id, issuer);

-- Who was sent to the provider and has not come back. The two secrets are in the browser and in the provider's answer.
CREATE TABLE access.oidc_flow (
    state_hash    bytea PRIMARY KEY,
    browser_hash  bytea NOT NULL,
    return_to     text NOT NULL,
    -- The count in access.throttle, which is given back after a log-in.
    count_key     text NOT NULL,
    counted_until timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX oidc_flow_expires_at_idx ON access.oidc_flow (expires_at);
