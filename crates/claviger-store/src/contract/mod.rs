//! The rules that every store keeps, as tests that a backend runs on itself.
//!
//! A backend writes one function that makes an empty database, and one line:
//!
//! ```text
//! claviger_store::contract_tests!(fresh);
//! ```
//!
//! Every rule is then a test of its own, named after its sentence. Backends run on tokio, so the tests do, too.

pub mod audit;
pub mod console;
pub mod copying;
pub mod data_keys;
mod given;
pub mod health;
pub mod installation;
pub mod keys;
pub mod nodes;
pub mod organizations;
pub mod pools;
pub mod portal;
pub mod races;
pub mod resealing;
pub mod tokens;
pub mod usage;
pub mod watching;
pub mod webhooks;
pub mod workspaces;

use std::sync::Arc;

use crate::Store;

pub use given::{replace_canary, somebody};

/// An empty database, opened twice.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// The same database, opened again as another process would.
    pub other: Arc<dyn Store>,
}

/// Makes a test of every rule. Takes an `async fn() -> (Fresh, T)`, where `T` is kept until the rule was tried.
#[macro_export]
macro_rules! contract_tests {
    ($fresh:path) => {
        $crate::contract_tests! { @of $fresh;
            installation::a_new_database_answers;
            installation::the_canary_is_stored_once;
            installation::the_root_tokens_hash_is_stored_once;
            installation::of_two_first_starts_one_wins;
            workspaces::a_workspace_is_made_once_and_changed_by_what_is_named;
            workspaces::a_workspace_that_is_not_there_is_none;
            workspaces::workspaces_come_in_pages_by_id;
            workspaces::deleting_a_workspace_takes_everything_of_it;
            workspaces::deleting_a_workspace_leaves_the_others;
            workspaces::a_workspace_made_again_starts_empty;
            organizations::an_organization_is_made_once_and_changed_by_what_is_named;
            organizations::an_organization_may_be_made_switched_off;
            organizations::an_organization_that_is_not_there_is_none;
            organizations::organizations_come_in_pages_by_id;
            organizations::an_organizations_workspaces_come_in_pages_by_id;
            organizations::deleting_an_organization_takes_its_keys_and_leaves_other_owners;
            organizations::an_organization_that_goes_leaves_its_workspaces_without_one;
            organizations::an_organization_made_again_starts_empty;
            organizations::a_workspace_of_an_unknown_organization_is_refused;
            organizations::a_workspace_joins_moves_and_leaves;
            organizations::an_organization_that_is_not_named_stays;
            organizations::a_workspace_and_an_organization_of_one_id_are_two;
            organizations::a_pool_tells_what_rotation_needs_of_its_owner;
            tokens::a_token_reads_back_as_it_was_stored;
            tokens::a_token_of_a_workspace_that_does_not_exist_is_refused;
            tokens::tokens_come_in_pages_of_one_workspace_or_all;
            tokens::a_deleted_token_is_gone;
            keys::a_key_reads_back_as_it_was_added;
            keys::keys_are_listed_by_provider_and_then_creation;
            keys::a_key_of_nobody_is_refused;
            keys::the_platform_always_exists;
            keys::a_replaced_key_keeps_its_place_and_is_readable_again;
            keys::a_replacement_renames_only_where_it_names;
            keys::replacing_with_the_secret_of_another_key_is_a_duplicate;
            keys::replacing_with_the_same_secret_is_no_duplicate;
            keys::a_change_touches_only_what_it_names;
            keys::a_key_is_marked_only_while_its_secret_is_the_same;
            keys::dates_of_last_use_never_move_back;
            keys::under_another_owner_or_provider_nothing_is_found;
            pools::ten_keys_fit_and_the_eleventh_is_refused;
            pools::pools_are_full_independently_of_each_other;
            pools::a_secret_twice_in_a_pool_is_a_duplicate_naming_the_key;
            pools::a_secret_may_be_in_several_pools;
            pools::order_is_creation_order_whatever_the_slot;
            pools::positions_are_never_used_again;
            pools::deleting_a_key_that_is_not_there_is_told;
            data_keys::the_first_key_brings_the_data_key_and_it_stays;
            data_keys::a_data_key_is_never_replaced;
            data_keys::a_key_sealed_under_another_data_key_is_refused;
            data_keys::a_replacement_sealed_under_another_data_key_is_refused;
            data_keys::a_refused_key_leaves_nothing_behind;
            resealing::the_canary_is_replaced_only_by_who_has_read_it;
            resealing::former_canaries_are_kept_one_for_each_master_key;
            resealing::data_keys_are_found_by_their_master_key;
            resealing::a_data_key_is_sealed_anew_only_as_it_was_read;
            resealing::no_data_key_comes_under_a_master_key_that_is_not_in_use;
            resealing::first_keys_at_once_with_another_master_key_all_come_before_it_or_are_refused;
            resealing::a_new_data_key_comes_with_everything_that_it_seals;
            resealing::a_new_data_key_is_refused_where_anything_is_not_as_it_was_read;
            resealing::a_data_key_goes_with_its_owner;
            nodes::a_node_runs_from_when_it_is_noted_until_it_is_forgotten;
            nodes::nodes_are_told_apart_by_their_ids_and_come_by_name;
            nodes::a_master_key_that_a_node_lacks_comes_into_use_only_where_that_is_accepted;
            nodes::a_node_that_begins_is_seen_or_sees_the_new_master_key;
            races::sixty_four_adds_at_once_leave_ten;
            races::sixty_four_adds_of_two_processes_leave_ten;
            races::one_secret_added_at_once_is_stored_once;
            races::of_two_first_adds_with_new_data_keys_one_wins;
            races::adds_against_deletions_of_the_whole_pool_add_up;
            races::a_replacement_against_a_deletion_leaves_nothing;
            races::adds_against_the_deletion_of_their_owner_leave_nothing;
            races::nobody_belongs_to_an_organization_that_is_deleted_meanwhile;
            health::an_ailment_reads_back_and_is_healed;
            health::an_earlier_ailment_never_takes_the_place_of_a_later_one;
            health::only_what_was_there_when_its_request_began_is_healed;
            health::a_replaced_secret_is_well_and_stays_so;
            health::ailments_put_at_once_come_to_the_latest;
            health::an_ailment_is_no_change_of_the_pools_keys;
            health::webhooks_are_told_once_where_an_ailment_begins_and_ends;
            health::a_rejected_key_is_claimed_for_a_probe_when_its_rest_is_over;
            health::two_nodes_never_claim_the_same_probe;
            usage::uses_are_added_up_by_key_and_by_hour;
            usage::usage_is_of_one_provider_and_of_a_time;
            usage::uses_of_keys_that_are_gone_leave_nothing;
            usage::uses_recorded_by_two_nodes_at_once_add_up;
            usage::uses_against_the_deletion_of_their_keys_leave_nothing;
            usage::old_hours_are_forgotten_in_portions;
            usage::a_domain_is_kept_until_another_is_named_or_the_secret_is_replaced;
            webhooks::webhooks_read_back_and_are_deleted;
            webhooks::a_webhook_is_sealed_with_its_workspaces_data_key;
            webhooks::ten_webhooks_fit_and_the_eleventh_is_refused;
            webhooks::each_webhook_is_told_what_it_wants_once;
            webhooks::a_delivery_is_tried_until_it_is_done_or_given_up;
            webhooks::what_is_on_its_way_goes_with_its_webhook;
            webhooks::two_nodes_never_claim_the_same_delivery;
            portal::links_and_sessions_read_back;
            portal::a_link_to_nobodys_portal_is_refused;
            portal::of_several_that_open_a_link_at_once_one_does;
            portal::an_expired_link_opens_nothing;
            portal::sessions_are_listed_and_ended_in_their_workspace;
            portal::links_and_sessions_go_with_their_workspace;
            portal::putting_a_workspace_ends_its_sessions;
            portal::expired_links_and_sessions_are_forgotten_in_portions;
            audit::every_change_is_entered_in_its_owners_trail;
            audit::an_entry_says_who_when_from_where_and_what_was_before;
            audit::what_changes_nothing_or_is_refused_is_not_entered;
            audit::a_trail_outlives_its_owner_and_goes_on_when_it_comes_again;
            audit::changes_of_two_processes_at_once_make_one_chain;
            audit::a_trail_is_read_from_either_end_in_pages_and_by_provider_and_actor;
            audit::heads_come_in_pages_by_kind_and_id;
            audit::master_keys_data_keys_and_the_console_are_in_the_trails;
            audit::trails_are_found_by_their_entries_and_by_their_heads;
            audit::copied_entries_follow_what_was_there_or_take_its_place;
            audit::copied_entries_are_refused_where_the_trail_ends_otherwise;
            audit::a_workspace_says_in_its_own_trail_why_it_lost_its_organization;
            console::a_console_session_reads_back_on_every_node_until_it_is_ended;
            console::console_sessions_that_last_are_listed_by_id;
            console::expired_console_sessions_are_forgotten;
            console::workspaces_are_found_by_how_their_ids_begin;
            console::workspaces_are_found_by_how_their_names_begin;
            console::counting_ends_where_it_is_told_to;
            watching::a_watcher_begins_with_nothing_to_trust;
            watching::a_watcher_proves_again_and_again_that_it_hears;
            watching::what_was_committed_before_a_proof_was_told_before_it;
            watching::a_watcher_hears_of_pools_tokens_and_workspaces;
            watching::a_watcher_hears_of_organizations_and_of_who_belongs_to_them;
            watching::a_watcher_hears_of_owners_that_were_put;
            watching::a_watcher_does_not_hear_of_uses_and_marks;
            watching::a_watcher_hears_of_ailments_that_change_something;
            watching::a_watcher_hears_of_pools_under_a_new_data_key;
            watching::a_watcher_does_not_hear_of_data_keys_that_are_sealed_anew;
            watching::a_watcher_hears_of_nothing_that_was_refused;
            copying::an_empty_deployment_has_nothing_but_the_platform;
            copying::everything_is_counted;
            copying::a_copied_deployment_reads_back_equal;
            copying::owners_come_in_pages_by_kind_and_id;
            copying::putting_an_owner_replaces_what_was_there;
            copying::putting_an_owner_again_changes_nothing;
            copying::putting_an_organization_leaves_its_workspaces;
            copying::an_owner_that_was_put_can_be_used;
            copying::a_workspace_before_its_organization_is_refused;
        }
    };
    (@of $fresh:path; $($module:ident::$rule:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (fresh, _kept) = $fresh().await;
                let tried = $crate::contract::$module::$rule(fresh);
                // Only a rule that is broken comes near this, by waiting for what does not happen.
                tokio::time::timeout(std::time::Duration::from_secs(60), tried).await.expect("within a minute");
            }
        )*
    };
}
