//! The main job, end to end.

use suite::story::{Silent, tell};
use suite::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reads_its_users_calendar_and_nobody_elses() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    tell(&mut world, &mut Silent).await
}
